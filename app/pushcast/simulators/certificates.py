"""TLS identities of a simulator: a CA of its own, made once per work directory."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True, slots=True)
class Identity:
    """PEM files; `ca_file` is what clients trust, `ca_key_file` signs client certificates for mutual TLS."""

    ca_file: Path
    ca_key_file: Path
    server_file: Path


def identity(directory: Path) -> Identity:
    """The directory's identity; made when it has none, so that a simulator that starts again is still trusted.

    The server certificate is for `localhost` and `127.0.0.1`.
    """
    found = Identity(directory / "ca.pem", directory / "ca.key.pem", directory / "server.pem")
    if found.server_file.exists() and found.ca_file.exists():
        return found
    directory.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA(organization_name="Pushcast simulator")
    server = authority.issue_cert("localhost", "127.0.0.1", organization_name="Pushcast simulator")
    for path in (found.ca_key_file, found.server_file):
        path.touch(mode=0o600)
    authority.cert_pem.write_to_path(str(found.ca_file))
    authority.private_key_pem.write_to_path(str(found.ca_key_file))
    server.private_key_and_cert_chain_pem.write_to_path(str(found.server_file))
    return found


def server_context(found: Identity, *, alpn: list[str], client_certificates: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(found.server_file)
    context.set_alpn_protocols(alpn)
    if client_certificates:
        context.load_verify_locations(found.ca_file)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context
