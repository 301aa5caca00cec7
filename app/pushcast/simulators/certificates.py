"""TLS identities of a simulator: a CA of its own, made once per work directory."""

from __future__ import annotations

import datetime
import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


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
    """TLS of a simulator: 1.2 or newer, client certificates asked for where they are wanted."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(found.server_file)
    context.set_alpn_protocols(alpn)
    if client_certificates:
        context.load_verify_locations(found.ca_file)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def client_certificate(found: Identity, directory: Path, name: str, topic: str) -> tuple[Path, Path]:
    """(certificate file, key file) of a push certificate: signed by the CA, the topic in the subject's UID."""
    certificate_file, key_file = directory / f"push-{name}.pem", directory / f"push-{name}.key.pem"
    if certificate_file.exists() and key_file.exists():
        return certificate_file, key_file
    authority = x509.load_pem_x509_certificate(found.ca_file.read_bytes())
    signer = serialization.load_pem_private_key(found.ca_key_file.read_bytes(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.USER_ID, topic),
            x509.NameAttribute(NameOID.COMMON_NAME, f"Apple Push Services: {topic}"),
        ]
    )
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=365))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(signer, hashes.SHA256())
    )
    key_file.touch(mode=0o600)
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return certificate_file, key_file
