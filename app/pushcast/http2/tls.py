"""TLS for push providers: at least 1.2, verified, h2 by ALPN."""

from __future__ import annotations

import ssl
from pathlib import Path


def client_context(
    *,
    ca_file: Path | None = None,
    certificate_file: Path | None = None,
    key_file: Path | None = None,
    key_password: str | None = None,
) -> ssl.SSLContext:
    """A verifying context that offers h2.

    `ca_file` replaces the machine's trust store. `certificate_file` (with its chain) and `key_file` are a client
    certificate, as certificate-authenticated APNs wants it. Raises OSError or ssl.SSLError when a file does not serve.
    Loading takes a millisecond or more: share one context per credential.
    """
    context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2"])
    if certificate_file is not None:
        context.load_cert_chain(
            str(certificate_file), None if key_file is None else str(key_file), password=key_password
        )
    return context
