"""`kafka.security` in the words of librdkafka (confluent-kafka), of Faust and of aiokafka, with one meaning."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from faust.auth import Credentials, SASLCredentials, SSLCredentials

from pushcast.config.security import KafkaSecurity
from pushcast.model.errors import ConfigurationError

#: librdkafka's word for: look for the machine's certificates yourself.
PROBE: Final = "probe"


def librdkafka_config(security: KafkaSecurity) -> dict[str, str]:
    """Settings to merge into those of any confluent-kafka client; the password is among them, so do not log it.

    Raises ConfigurationError for a file that cannot be read.
    """
    config: dict[str, str] = {"security.protocol": security.protocol}
    if security.uses_sasl:
        assert security.sasl_mechanism is not None
        assert security.username is not None
        config["sasl.mechanism"] = security.sasl_mechanism
        config["sasl.username"] = security.username
        config["sasl.password"] = _password(security)
    if security.uses_tls:
        config["enable.ssl.certificate.verification"] = "true"
        config["ssl.endpoint.identification.algorithm"] = "https"
        config["ssl.ca.location"] = str(_readable("ca_file", security.ca_file)) if security.ca_file else _system_ca()
        if security.certificate_file and security.key_file:
            config["ssl.certificate.location"] = str(_readable("certificate_file", security.certificate_file))
            config["ssl.key.location"] = str(_readable("key_file", security.key_file))
    return config


def faust_credentials(security: KafkaSecurity) -> Credentials | None:
    """For `faust.App(broker_credentials=…)`; None for PLAINTEXT. Raises ConfigurationError for an unusable file."""
    context = _ssl_context(security) if security.uses_tls else None
    if security.uses_sasl:
        return SASLCredentials(
            username=security.username,
            password=_password(security),
            mechanism=security.sasl_mechanism,
            ssl_context=context,
        )
    return SSLCredentials(context) if context is not None else None


def aiokafka_config(client: Mapping[str, Any]) -> dict[str, Any]:
    """What `clients.client_config` says of a cluster, for any client of aiokafka; the password is among it.

    Raises ConfigurationError for a certificate that cannot be used.
    """
    protocol = client.get("security.protocol", "PLAINTEXT")
    config: dict[str, Any] = {"bootstrap_servers": client["bootstrap.servers"], "security_protocol": protocol}
    if "sasl.mechanism" in client:
        config["sasl_mechanism"] = client["sasl.mechanism"]
        config["sasl_plain_username"] = client["sasl.username"]
        config["sasl_plain_password"] = client["sasl.password"]
    if protocol in ("SSL", "SASL_SSL"):
        files = (client.get(name) for name in ("ssl.ca.location", "ssl.certificate.location", "ssl.key.location"))
        ca_file, certificate, key = (None if name in (None, PROBE) else Path(name) for name in files)
        config["ssl_context"] = _tls(ca_file, certificate, key)
    return config


def _password(security: KafkaSecurity) -> str:
    """The file's text less one line end, which editors and `echo` add."""
    assert security.password_file is not None
    try:
        text = security.password_file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"kafka.security.password_file: cannot read {security.password_file}") from error
    password = text.removesuffix("\n").removesuffix("\r")
    if not password:
        raise ConfigurationError(f"kafka.security.password_file: {security.password_file} is empty")
    return password


def _ssl_context(security: KafkaSecurity) -> ssl.SSLContext:
    return _tls(security.ca_file, security.certificate_file, security.key_file)


def _tls(ca: Path | None, certificate: Path | None, key: Path | None) -> ssl.SSLContext:
    ca_file = _readable("ca_file", ca) if ca else None
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError as error:
        raise ConfigurationError(f"kafka.security.ca_file: {ca_file} holds no PEM certificate") from error
    if certificate and key:
        certificate = _readable("certificate_file", certificate)
        try:
            # An empty password makes an encrypted key an error; without one OpenSSL would ask on the terminal.
            context.load_cert_chain(certificate, _readable("key_file", key), password="")
        except ssl.SSLError as error:
            message = (
                f"kafka.security.certificate_file: {certificate} and its key_file are no pair of unencrypted PEM files"
            )
            raise ConfigurationError(message) from error
    return context


def _readable(field: str, path: Path) -> Path:
    """librdkafka reports an unreadable file late and in its own words."""
    try:
        path.open("rb").close()
    except OSError as error:
        raise ConfigurationError(f"kafka.security.{field}: cannot read {path}") from error
    return path


def _system_ca() -> str:
    """What Python takes as the machine's certificates (SSL_CERT_FILE included), since librdkafka's own OpenSSL looks
    elsewhere; `probe` lets it search where Python knows no file either."""
    return ssl.get_default_verify_paths().cafile or PROBE
