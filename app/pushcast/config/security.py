"""How to reach a Kafka that asks for TLS or a password.

One block for all clients; `pushcast.kafka.security` says it in each client's words.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import model_validator

from pushcast.config.strict import Strict

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


class KafkaSecurity(Strict):
    """`kafka.security`. A key that the protocol would ignore is refused: it shows that another protocol was meant.

    The password is in a file and never in the tree, so that no dump of the settings can hold it. The broker's
    certificate and host name are always verified; `ca_file` None means the machine's own certificates.
    """

    protocol: Protocol = "PLAINTEXT"  # as the brokers' listener has it
    sasl_mechanism: SaslMechanism | None = None  # of a SASL protocol
    username: str | None = None  # of a SASL protocol
    password_file: Path | None = None  # of a SASL protocol: a file with the password alone
    ca_file: Path | None = None  # PEM, who may sign the brokers' certificates; None: the system's
    certificate_file: Path | None = None  # PEM, of this client, where brokers ask for one
    key_file: Path | None = None  # PEM, the key of certificate_file

    @property
    def uses_tls(self) -> bool:
        return self.protocol in {"SSL", "SASL_SSL"}

    @property
    def uses_sasl(self) -> bool:
        return self.protocol in {"SASL_PLAINTEXT", "SASL_SSL"}

    @model_validator(mode="after")
    def _keys_fit_the_protocol(self) -> Self:
        sasl = ("sasl_mechanism", "username", "password_file")
        tls = ("ca_file", "certificate_file", "key_file")
        given = {name for name in (*sasl, *tls) if getattr(self, name) is not None}
        if self.uses_sasl and (absent := [name for name in sasl if name not in given]):
            raise ValueError(f"protocol {self.protocol} needs {', '.join(absent)}")
        if not self.uses_sasl and (unused := [name for name in sasl if name in given]):
            raise ValueError(f"protocol {self.protocol} does not use {', '.join(unused)}; SASL_SSL does")
        if not self.uses_tls and (unused := [name for name in tls if name in given]):
            raise ValueError(f"protocol {self.protocol} does not use {', '.join(unused)}; SSL and SASL_SSL do")
        if ("certificate_file" in given) != ("key_file" in given):
            raise ValueError("certificate_file and key_file go together")
        return self
