"""The sections of what is served over HTTP: metrics, gateway, console, reports, webhooks."""

from __future__ import annotations

import re
from ipaddress import ip_network
from pathlib import Path
from typing import Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from pushcast.config.strict import LOOPBACK, Name, Strict, port_of
from pushcast.model.words import Outcome

#: A name with a dot whose last label is no number: nothing that a resolver takes for an address.
_HOST = re.compile(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")


#: In `console.trace_url`: the id of a trace.
TRACE: Final = "{trace}"

#: As browsers write one: no default port, no path.
_ORIGIN = re.compile(r"(?!http://[^/]*:80$|https://[^/]*:443$)https?://([a-z0-9.-]+|\[[0-9a-f:]+\])(:[1-9][0-9]{0,4})?")


def is_origin(text: str) -> bool:
    """Whether a browser could send it as the header Origin of a page on the web."""
    return _ORIGIN.fullmatch(text) is not None


class Observe(Strict):
    """Metrics, health and logs of each role."""

    host: str = "127.0.0.1"  # where metrics and health of each role are served
    port: int = Field(default=0, ge=0, le=65535)  # 0: a free one, shown in the log
    log_level: Literal["debug", "info", "warning", "error"] = "info"  # lines below it are left out
    tracing: bool = False  # spans of pushes whose events are sampled, to OTEL_EXPORTER_OTLP_…; needs pushcast[otel]
    log_json: bool | None = None  # None: JSON lines, text where stderr is a terminal


class Identity(Strict):
    """How users of an app prove who they are to the gateway."""

    jwks_file: Path  # public keys of your back end, as a JSON Web Key Set


class Sharing(Strict):
    """Where gateways ask each other, so that the quotas of keys hold for all of them together."""

    host: str = "127.0.0.1"  # where other gateways reach this one; others than loopback need token_file
    port: int = Field(default=0, ge=0, le=65535)  # 0: a free one
    advertised_host: str | None = None  # the name by which others reach this host; absent: host
    token_file: Path | None = None  # shared by all gateways

    @model_validator(mode="after")
    def _a_token_beyond_loopback(self) -> Self:
        if self.token_file is None and self.host not in LOOPBACK:
            raise ValueError("token_file is needed where host is not this machine alone")
        return self


class Gateway(Strict):
    """The HTTP door. `run all` opens it where this section stands in the configuration."""

    host: str = "127.0.0.1"  # where it listens
    port: int = Field(default=8080, ge=0, le=65535)  # 0: a free one, shown in the log
    certificate_file: Path | None = None  # PEM; without it the connection is plain: for loopback, or behind a balancer
    key_file: Path | None = None  # PEM, the key of certificate_file
    keys_file: Path | None = None  # API keys as JSON, for the first one: {"<key id>": {…}}
    identity: dict[Name, Identity] = Field(default_factory=dict)  # by app
    device_key_file: Path | None = None  # at least 32 random bytes: devices without a user may register, too
    ack_seconds: float = Field(default=10.0, gt=0, le=60)  # how long an answer waits for Kafka
    request_seconds: float = Field(default=10.0, gt=0, le=300)  # in which the head, and the body, must have come
    sharing: Sharing | None = None  # absent: each process counts the quotas of keys by itself
    max_connections: int = Field(default=2048, ge=1, le=100_000)  # open at once; more are closed at once
    max_connections_per_address: int = Field(default=256, ge=1, le=100_000)  # open at once from one address
    # Pages whose browsers may call it: https://app.example.com. For apps with a public key: a page can keep no secret.
    cors_origins: tuple[str, ...] = ()

    @field_validator("cors_origins")
    @classmethod
    def _origins_as_browsers_send_them(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if not is_origin(origin):
                raise ValueError(f"{origin!r} is no origin: http(s)://host[:port], small letters, no path, no *")
        return origins

    @model_validator(mode="after")
    def _certificate_with_its_key(self) -> Self:
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file and key_file belong together: set both")
        return self


class Console(Strict):
    """Pages for people. `run all` serves them where this section stands in the configuration."""

    host: str = "127.0.0.1"  # where it listens
    port: int = Field(default=8081, ge=0, le=65535)  # 0: a free one, shown in the log
    certificate_file: Path | None = None  # PEM; without it for this machine alone, or with behind_tls
    key_file: Path | None = None  # PEM, the key of certificate_file
    behind_tls: bool = False  # something in front ends TLS, so browsers reach it by https
    session_seconds: float = Field(default=28_800.0, gt=0, le=2_592_000)  # how long somebody stays signed in
    secret_file: Path | None = None  # 32 bytes or more that sign cookies, for several consoles; absent: one in data_dir
    trusted_header: str | None = None  # in which a proxy in front says who has signed in there: X-Forwarded-User
    trusted_addresses: tuple[str, ...] = ()  # of that proxy, or its networks: nobody else's header is read
    trusted_key: str | None = None  # id of the key whose rights those people have
    processes: tuple[str, ...] = ()  # host:port of processes on other machines (observe.port), for Now and Health
    trace_url: str | None = None  # where your tracing shows a trace: https://traces.example.com/trace/{trace}

    @field_validator("trace_url")
    @classmethod
    def _of_a_trace(cls, url: str | None) -> str | None:
        if url is not None and (TRACE not in url or not url.startswith(("https://", "http://"))):
            raise ValueError(f"trace_url begins with https:// or http:// and has {TRACE} in it")
        return url

    @model_validator(mode="after")
    def _reached_by_tls(self) -> Self:
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file and key_file belong together: set both")
        plain = self.certificate_file is None and not self.behind_tls
        if plain and self.host not in LOOPBACK:
            raise ValueError("certificate_file, or behind_tls, is needed where host is not this machine alone")
        if len({self.trusted_header is None, not self.trusted_addresses, self.trusted_key is None}) > 1:
            raise ValueError("trusted_header, trusted_addresses and trusted_key belong together: set all or none")
        for address in self.trusted_addresses:
            ip_network(address)  # raises ValueError
        return self


class ReportExport(Strict):
    """Days of receipts and reports as files, written by the reporter that has partition 0."""

    folder: str = Field(min_length=1)  # or a URL (s3://…); shared by reporters: a day that is whole is left alone
    format: Literal["jsonl", "csv", "parquet"] = "jsonl"  # of the receipts; parquet needs pushcast[export]
    after_seconds: float = Field(default=900.0, ge=0, le=43_200)  # from a day's end (UTC) until it is exported


class Reports(Strict):
    """What became of notifications: the reporter's store and port. `run all` starts one where this section stands."""

    host: str = "127.0.0.1"  # where the gateway and `pushcast report` reach it; others need token_file
    port: int = Field(default=0, ge=0, le=65535)  # 0: a free one
    advertised_host: str | None = None  # the name by which others reach this host; absent: host
    token_file: Path | None = None  # shared by reporters and those who ask them
    standby: bool = False  # reads the same in a group of its own, and is asked when the owner of a partition is silent
    keep_days: int = Field(default=30, ge=1, le=400)  # of single deliveries; sums: at least 90
    export: ReportExport | None = None  # absent: `pushcast report export` is run by somebody else, or nobody

    @model_validator(mode="after")
    def _a_token_beyond_loopback(self) -> Self:
        if self.token_file is None and self.host not in LOOPBACK:
            raise ValueError("token_file is needed where host is not this machine alone")
        return self


class Webhook(Strict):
    """An endpoint that is told what became of deliveries. A reporter posts to it (docs/webhooks.md)."""

    url: str  # https, with a host of allowed_hosts
    secret_file: Path  # whsec_…, one a line: all of them sign; read again when it changes
    events: tuple[  # what it is told
        Literal["deliveries.ended", "tokens.invalid", "report.settled", "breaker.changed", "canary.failed"], ...
    ] = Field(min_length=1)
    allowed_hosts: tuple[str, ...] = Field(min_length=1)  # hosts that url may name; a redirect is never followed
    apps: tuple[Name, ...] | None = None  # only these; absent: every app
    classes: tuple[Name, ...] | None = None  # only these; absent: every class
    outcomes: tuple[Outcome, ...] | None = None  # of deliveries
    reasons: tuple[str, ...] | None = None  # of deliveries; absent: every reason
    timeout_seconds: float = Field(default=15.0, gt=0, le=30)  # of a request and its answer

    @model_validator(mode="after")
    def _a_public_name_by_https(self) -> Self:
        # What httpx could not ask for is refused here: no event would ever arrive.
        if not self.url.isprintable() or self.url != self.url.strip():
            raise ValueError("url holds a control character, or white space at an end")
        parts = urlsplit(self.url)
        try:
            port_of(parts)
        except ValueError as error:
            raise ValueError(f"url: {error}") from None
        host = parts.hostname or ""
        if parts.scheme != "https" or not _HOST.fullmatch(host) or parts.username is not None or parts.fragment:
            raise ValueError("url must be https:// and the name of a host, without user, password, fragment or address")
        if host not in self.allowed_hosts:
            raise ValueError(f"the host of url, {host}, is not in allowed_hosts")
        return self
