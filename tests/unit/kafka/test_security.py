"""One security block, two clients, one meaning."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme
from confluent_kafka import Producer
from faust.auth import SASLCredentials, SSLCredentials
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth
from pydantic import ValidationError

from pushcast.config.security import KafkaSecurity
from pushcast.kafka.security import PROBE, aiokafka_config, faust_credentials, librdkafka_config
from pushcast.model.errors import ConfigurationError

SASL = {"sasl_mechanism": "SCRAM-SHA-512", "username": "planner"}


@dataclass(frozen=True)
class Files:
    ca: trustme.CA
    other_ca: trustme.CA
    folder: Path

    def path(self, name: str) -> Path:
        return self.folder / name


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    made = Files(trustme.CA(), trustme.CA(), tmp_path_factory.mktemp("security"))
    client = made.ca.issue_cert("planner.example")
    made.ca.cert_pem.write_to_path(made.path("ca.pem"))
    client.cert_chain_pems[0].write_to_path(made.path("client.pem"))
    client.private_key_pem.write_to_path(made.path("client.key"))
    made.path("password").write_text("s3cret \n")
    return made


def block(files: Files, **fields: Any) -> KafkaSecurity:
    names = {
        "password_file": "password",
        "ca_file": "ca.pem",
        "certificate_file": "client.pem",
        "key_file": "client.key",
    }
    given = {name: files.path(names[name]) if value is True else value for name, value in fields.items()}
    return KafkaSecurity.model_validate(given)


def meaning_for_librdkafka(config: dict[str, str]) -> dict[str, object]:
    tls = config["security.protocol"].endswith("SSL")
    return {
        "protocol": config["security.protocol"],
        "mechanism": config.get("sasl.mechanism"),
        "username": config.get("sasl.username"),
        "password": config.get("sasl.password"),
        "verifies": tls
        and config["enable.ssl.certificate.verification"] == "true"
        and config["ssl.endpoint.identification.algorithm"] == "https",
        "trusts": authorities(ssl.create_default_context(cafile=config["ssl.ca.location"])) if tls else None,
    }


def meaning_for_faust(credentials: Any) -> dict[str, object]:
    return meaning_for_aiokafka(credentials_to_aiokafka_auth(credentials))


def meaning_for_aiokafka(auth: Mapping[str, Any]) -> dict[str, object]:
    context = auth.get("ssl_context")
    return {
        "protocol": auth["security_protocol"],
        "mechanism": auth.get("sasl_mechanism"),
        "username": auth.get("sasl_plain_username"),
        "password": auth.get("sasl_plain_password"),
        "verifies": context is not None and context.check_hostname and context.verify_mode is ssl.CERT_REQUIRED,
        "trusts": authorities(context) if context is not None else None,
    }


def authorities(context: ssl.SSLContext) -> set[bytes]:
    return set(context.get_ca_certs(binary_form=True))


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({}, id="plaintext"),
        pytest.param({"protocol": "SSL"}, id="tls with the system's authorities"),
        pytest.param({"protocol": "SSL", "ca_file": True}, id="tls with an authority of its own"),
        pytest.param({"protocol": "SSL", "ca_file": True, "certificate_file": True, "key_file": True}, id="mutual tls"),
        pytest.param({"protocol": "SASL_PLAINTEXT", "password_file": True, **SASL}, id="scram 512 without tls"),
        pytest.param(
            {"protocol": "SASL_SSL", "ca_file": True, "password_file": True, **SASL, "sasl_mechanism": "SCRAM-SHA-256"},
            id="scram 256 over tls",
        ),
        pytest.param(
            {"protocol": "SASL_SSL", "ca_file": True, "password_file": True, **SASL, "sasl_mechanism": "PLAIN"},
            id="plain over tls",
        ),
    ],
)
def test_both_clients_are_told_the_same(files: Files, fields: dict[str, Any]) -> None:
    security = block(files, **fields)
    config = librdkafka_config(security)
    meaning = meaning_for_librdkafka(config)
    assert meaning == meaning_for_faust(faust_credentials(security))
    assert meaning == meaning_for_aiokafka(aiokafka_config({"bootstrap.servers": "127.0.0.1:1", **config}))
    assert meaning["protocol"] == security.protocol
    assert meaning["password"] == ("s3cret " if security.uses_sasl else None)
    assert meaning["verifies"] is security.uses_tls
    Producer({"bootstrap.servers": "127.0.0.1:1", "log_level": 0, **config})  # refuses unknown keys and unusable files


def test_plaintext_is_no_credentials_for_faust() -> None:
    assert faust_credentials(KafkaSecurity()) is None
    assert librdkafka_config(KafkaSecurity()) == {"security.protocol": "PLAINTEXT"}


def test_the_machines_own_certificates_are_trusted_where_librdkafka_looks_for_them_itself(files: Files) -> None:
    config = {"bootstrap.servers": "127.0.0.1:1", "security.protocol": "SSL", "ssl.ca.location": PROBE}
    context = aiokafka_config(config)["ssl_context"]
    assert authorities(context) == authorities(ssl.create_default_context())
    assert context.verify_mode is ssl.CERT_REQUIRED


def test_the_client_certificate_is_shown_by_aiokafka_too(files: Files) -> None:
    security = block(files, protocol="SSL", ca_file=True, certificate_file=True, key_file=True)
    config = aiokafka_config({"bootstrap.servers": "127.0.0.1:1", **librdkafka_config(security)})
    shown = handshake(config["ssl_context"], broker_context(files.ca, files.ca), "broker.example")
    assert shown == ssl.PEM_cert_to_DER_cert(files.path("client.pem").read_text())


def test_the_client_certificate_is_shown_to_a_broker_that_asks(files: Files) -> None:
    security = block(files, protocol="SSL", ca_file=True, certificate_file=True, key_file=True)
    credentials = faust_credentials(security)
    assert isinstance(credentials, SSLCredentials)
    shown = handshake(credentials.context, broker_context(files.ca, files.ca), "broker.example")
    location = Path(librdkafka_config(security)["ssl.certificate.location"])
    assert shown == ssl.PEM_cert_to_DER_cert(location.read_text())
    assert librdkafka_config(security)["ssl.key.location"] == str(files.path("client.key"))


@pytest.mark.parametrize(("authority", "host"), [("other_ca", "broker.example"), ("ca", "elsewhere.example")])
def test_a_broker_with_a_strange_certificate_is_refused(files: Files, authority: str, host: str) -> None:
    credentials = faust_credentials(block(files, protocol="SASL_SSL", ca_file=True, password_file=True, **SASL))
    assert isinstance(credentials, SASLCredentials)
    assert credentials.ssl_context is not None
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(credentials.ssl_context, broker_context(getattr(files, authority), None), host)


def broker_context(issuer: trustme.CA, asks_for: trustme.CA | None) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    issuer.issue_cert("broker.example").configure_cert(context)
    if asks_for is not None:
        asks_for.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def handshake(client: ssl.SSLContext, broker: ssl.SSLContext, host: str) -> bytes | None:
    """TLS between two contexts in memory; what the broker saw as client certificate, in DER."""
    to_broker, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(to_client, to_broker, server_hostname=host)
    far = broker.wrap_bio(to_broker, to_client, server_side=True)
    pending = [near, far]
    for _ in range(20):
        for side in list(pending):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            pending.remove(side)
        if not pending:
            return far.getpeercert(binary_form=True)
    raise AssertionError("the handshake did not end")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"protocol": "SASL_SSL", "username": "planner"}, "needs sasl_mechanism, password_file"),
        ({"username": "planner"}, "PLAINTEXT does not use username"),
        ({"protocol": "SASL_PLAINTEXT", **SASL, "password_file": "p", "ca_file": "c"}, "does not use ca_file"),
        ({"protocol": "SSL", "certificate_file": "c"}, "certificate_file and key_file go together"),
        ({"protocol": "SSL", "password": "s3cret"}, "Extra inputs are not permitted"),
        ({"protocol": "TLS"}, "SASL_SSL"),
    ],
)
def test_keys_that_do_not_fit_the_protocol_are_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        KafkaSecurity.model_validate(fields)


@pytest.mark.parametrize("field", ["password_file", "ca_file", "certificate_file", "key_file"])
def test_a_missing_file_is_named_with_its_key_by_both(files: Files, field: str) -> None:
    fields: dict[str, Any] = {"protocol": "SASL_SSL", **SASL}
    fields |= dict.fromkeys(["password_file", "ca_file", "certificate_file", "key_file"], True)
    security = block(files, **fields | {field: files.path("absent")})
    for translate in (librdkafka_config, faust_credentials):
        with pytest.raises(ConfigurationError, match=rf"kafka\.security\.{field}: cannot read .*absent"):
            translate(security)


def test_an_empty_password_file_is_refused(files: Files) -> None:
    files.path("empty").write_text("\n")
    security = block(files, protocol="SASL_PLAINTEXT", **SASL, password_file=files.path("empty"))
    with pytest.raises(ConfigurationError, match="is empty"):
        librdkafka_config(security)


def test_files_that_are_no_certificates_are_refused(files: Files) -> None:
    with pytest.raises(ConfigurationError, match=r"ca_file: .* holds no PEM certificate"):
        faust_credentials(block(files, protocol="SSL", ca_file=files.path("password")))
    wrong_pair = {"certificate_file": files.path("client.pem"), "key_file": files.path("ca.pem")}
    with pytest.raises(ConfigurationError, match="no pair"):
        faust_credentials(block(files, protocol="SSL", **wrong_pair))


def test_an_encrypted_key_is_refused_and_nobody_is_asked_for_its_password(files: Files) -> None:
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(files.path("client.key").read_bytes(), password=None)
    encrypted = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"x"),
    )
    files.path("encrypted.key").write_bytes(encrypted)
    security = block(files, protocol="SSL", certificate_file=True, key_file=files.path("encrypted.key"))
    with pytest.raises(ConfigurationError, match="unencrypted"):
        faust_credentials(security)


def test_the_password_shows_in_no_text_form(files: Files) -> None:
    security = block(files, protocol="SASL_PLAINTEXT", **SASL, password_file=True)
    assert "s3cret" not in repr(security) + security.model_dump_json() + repr(faust_credentials(security))
