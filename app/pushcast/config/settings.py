"""`pushcast.yaml` and `PUSHCAST_SECTION__KEY`, as one strict tree. Durations in seconds, sizes in bytes."""

from __future__ import annotations

import os
import re
from difflib import get_close_matches
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from pushcast.config.caps import MAX_CAPS, Cap, refuse_wrong
from pushcast.config.digests import Digest
from pushcast.config.providers import App
from pushcast.config.reading import read_tree, with_seconds
from pushcast.config.refusals import sentences
from pushcast.config.security import KafkaSecurity
from pushcast.model.errors import ConfigurationError
from pushcast.model.own import OwnClass
from pushcast.model.pacing import MAX_PER_MINUTE
from pushcast.model.quiet import Quiet
from pushcast.model.words import Lane, Outcome, Platform

CONFIG_VARIABLE = "PUSHCAST_CONFIG"
DEFAULT_FILE = Path("pushcast.yaml")
# Variables that other parts read themselves; every other PUSHCAST_* must be a key of this tree.
OTHER_VARIABLES = frozenset(
    {CONFIG_VARIABLE, "PUSHCAST_JAVA", "PUSHCAST_CACHE_DIR", "PUSHCAST_MAVEN_MIRROR", "PUSHCAST_CA_FILE"}
)

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
EndpointName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
#: A name with a dot whose last label is no number: nothing that a resolver takes for an address.
_HOST = re.compile(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")


Label = Annotated[str, Field(min_length=1, max_length=256)]


class Strict(BaseModel):
    """Unknown keys are typing mistakes: refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Kafka(Strict):
    """Where the cluster is and how its topics are laid out."""

    bootstrap_servers: str = "127.0.0.1:9092"
    partitions: int = Field(default=8, ge=1, le=1024)  # of every topic of the way; never changed in place
    replication_factor: int = Field(default=1, ge=1, le=7)
    security: KafkaSecurity = KafkaSecurity()
    commit_interval_seconds: float = Field(default=0.25, gt=0, le=60)
    session_timeout_seconds: float = Field(default=10, ge=6, le=300)


class Devices(Strict):
    """How many devices a user may have, and what becomes of those that a provider calls dead."""

    # How long a suspended device waits for its removal. Above the time in which a sender notices that verdicts are
    # abnormal, and far below the 7 days that the hold topic keeps.
    hold_seconds: float = Field(default=600, gt=0, le=86_400)
    # In one app. The device that was registered longest ago makes room for a new one; null: no limit.
    max_per_user: int | None = Field(default=20, ge=1, le=1_000)


class Sweep(Strict):
    """Registrars look through their rows and remove devices that were not seen for long, and old markers."""

    every_seconds: float = Field(default=86_400, ge=60, le=2_592_000)
    rows_per_second: int = Field(default=2_000, ge=100, le=1_000_000)
    # Days without a registration or refresh, by platform. FCM's own tokens expire after 270.
    stale_days: dict[Platform | Literal["default"], Annotated[int, Field(ge=30, le=3_650)]] = Field(
        default={Platform.FCM: 270, "default": 300}, validate_default=True
    )
    # More than this share of a partition's devices: nothing is removed until `pushcast device sweep --confirm`.
    max_share: float = Field(default=0.05, gt=0, le=1)

    @model_validator(mode="after")
    def _has_default(self) -> Self:
        if "default" not in self.stale_days:
            raise ValueError("stale_days: needs default, for platforms that it does not name")
        return self


class Schemas(Strict):
    """Where writer schemas of Confluent frames come from, and in which generation of schemas the stages write.

    1 while roles of the release before still run: they cannot read what it did not know (docs/operations.md).
    """

    registry_url: str | None = None
    write: Literal[1, 2] = 2


class Sealing(Strict):
    """Tokens under keys (docs/sealing.md). Registrars seal and senders open; each host's file holds its roles' part."""

    keyring_file: Path | None = None
    require: bool = False  # device changes with an address in clear are refused; the file then needs intake keys


class Plan(Strict):
    """Bounds of multicast batches and of what one partition may hold open."""

    max_targets: int = Field(default=500, ge=1, le=1000)
    max_batch_bytes: int = Field(default=524_288, ge=16_384, le=524_288)
    max_open_records: int = Field(default=50_000, ge=100)  # per partition, before it is paused
    lookup_again_seconds: float = Field(default=2.0, ge=0, le=60)  # for a user without devices, once
    lookup_again_younger_than_seconds: float = Field(default=5.0, ge=0, le=3600)
    window_seed: int | None = None  # of random windows; None: the system's randomness


class Broadcast(Strict):
    """How broadcasts share a planner with notifications, and how far they run ahead of the senders."""

    max_open: int = Field(default=8, ge=1, le=64)  # broadcasts that a partition walks at once; others wait
    slice_seconds: float = Field(default=0.001, gt=0, le=0.1)  # for which a walk keeps the event loop at a time
    slice_rows: int = Field(default=2000, ge=16, le=20_000)  # at most, in one slice
    leg_targets: int = Field(default=5000, ge=100, le=100_000)  # a leg ends after so many deliveries,
    leg_seconds: float = Field(default=2.0, gt=0, le=60)  # or after this time
    max_ahead_targets: int = Field(default=10_000, ge=100)  # of a partition and platform, not yet taken by senders
    min_share: float = Field(default=0.1, gt=0, le=1)  # of the time that a walk has while notifications wait
    restate_seconds: float = Field(default=60, gt=0, le=3600)  # an idle walk says its cursor again


class Breaker(Strict):
    """When an app's provider counts as broken, in each sender process. Shares are of answers."""

    failure_share: float = Field(default=0.5, gt=0, le=1.1)  # of the last 10 s; above 1: never
    failures_for_seconds: float = Field(default=3.0, ge=0, le=10)  # they must have lasted so long
    least_answers: int = Field(default=50, ge=1)  # within those 10 s
    invalid_share: float = Field(default=0.8, gt=0, le=1.1)  # of the last answers about tokens; above 1: never
    least_tokens: int = Field(default=50, ge=1)  # so many of them at least, within a minute
    invalid_in_a_row: int = Field(default=20, ge=1)  # or so many without a good answer between, however long it takes
    open_seconds: float = Field(default=5.0, gt=0, le=3600)  # until the first probes; doubled while they fail
    max_open_seconds: float = Field(default=60.0, gt=0, le=3600)
    probes: int = Field(default=20, ge=1, le=1000)  # targets of one round


class Send(Strict):
    """Bounds of what one sender process may have under way."""

    max_in_flight: int = Field(default=10_000, ge=1, le=1_000_000)  # deliveries at the provider or not yet acknowledged
    request_timeout_seconds: float = Field(default=10.0, gt=0, le=13)  # FCM asks for at least 10 s (providers.md §2.4)
    attempts: int = Field(default=2, ge=1, le=10)  # in-process tries of a retriable error
    now_or_never_seconds: float = Field(default=10.0, ge=0, le=3600)  # so long what has a TTL of 0 may still leave
    slow_seconds: float = Field(default=5.0, gt=0, le=3600)  # work that would wait longer is parked
    limit: Literal["adaptive", "fixed"] = "adaptive"  # requests out: as the provider's latency allows, or max_in_flight
    # What replaces what on a screen, without a collapse id: a notification itself only, or all with the same content.
    collapse_by: Literal["notification", "content"] = "notification"
    breaker: Breaker = Breaker()


class Retry(Strict):
    """The retry ladder: one delay for each of its topics (10s, 1m, 5m, 30m), whose names stay when delays differ."""

    rungs_seconds: tuple[float, float, float, float] = (10.0, 60.0, 300.0, 1800.0)
    attempts: int = Field(default=5, ge=1, le=100)  # rounds of sending, the first included
    jitter: float = Field(default=0.1, ge=0, le=1)  # share of the delay that is added at most

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if min(self.rungs_seconds) <= 0 or max(self.rungs_seconds) > 86_400:
            raise ValueError("rungs_seconds: each is above 0 and at most 86400 (retry topics keep records for 2 days)")
        if list(self.rungs_seconds) != sorted(self.rungs_seconds):
            raise ValueError("rungs_seconds must not fall from rung to rung")
        return self


class Settle(Strict):
    """What is asked before work that has waited is passed on."""

    # Whether the device is still there, with its token: a copy of the devices table for each settler.
    recheck: bool = False


class Park(Strict):
    """Work kept aside because its app is paused, its breaker open or its provider slow."""

    pass_seconds: float = Field(default=60.0, gt=0, le=3600)  # until all of it is looked through, resumed or not
    probe_seconds: float = Field(default=5.0, gt=0, le=3600)  # until a delivery of an app with an open breaker is tried


class Flood(Strict):
    """When a consumer stops because its input is abnormally bad, instead of making all of it dead letters."""

    enabled: bool = True
    share: float = Field(default=0.5, gt=0, lt=1)  # of a partition's records that must be invalid,
    least_records: int = Field(default=200, ge=1)  # and so many of them,
    window_seconds: float = Field(default=600.0, gt=0, le=86_400)  # within this time


class Keep(Strict):
    """What waits for its time, and what the keeper makes itself: pushes that take back what is shown, or set badges."""

    # What was held for quiet hours leaves within this time after them, each user always at the same instant of it.
    quiet_release_spread_seconds: float = Field(default=300, ge=0, le=7200)
    # Partitions whose broker's clock is more than 2 s ahead of another one's let nothing go until they agree.
    hold_on_disagreement: bool = False
    removal_wait_seconds: float = Field(default=30.0, ge=0, le=3600)  # for more that is to be taken back with it
    removals_per_hour: int = Field(default=2, ge=1, le=60)  # of a user in an app: Apple lets no more through
    badge_wait_seconds: float = Field(default=30.0, ge=0, le=3600)  # for a push that takes the new number along
    badges_per_hour: int = Field(default=2, ge=1, le=60)  # pushes for the number alone, of a user in an app


class Tickets(Strict):
    """Providers that take a push with a ticket and are asked later what became of it: Expo."""

    ask_after_seconds: float = Field(default=900.0, gt=0, le=3600)  # after sending; Expo: from a quarter of an hour on


class Class(Strict):
    """A kind of notification: its default lane, its window and its time to live."""

    lane: Lane = Lane.NORMAL
    window_seconds: float | None = Field(default=None, ge=0, le=3600)
    window_min_seconds: float | None = Field(default=None, ge=0, le=3600)
    window_max_seconds: float | None = Field(default=None, gt=0, le=3600)
    # At most 28 days, the longest that FCM keeps; 0: now or never.
    ttl_seconds: int = Field(default=86_400, ge=0, le=2_419_200)
    # ping: the provider learns that there is something, and not what; the app fetches it (docs/privacy.md).
    privacy: Literal["none", "ping"] = "none"
    generic_title: str | None = Field(default=None, min_length=1, max_length=64)  # what a ping shows
    # Whether frequency caps hold it up. None: ignore where lane is urgent, otherwise apply.
    caps: Literal["apply", "ignore"] | None = None
    counted: bool = True  # takes slots of the caps, even where they do not hold it up
    digest: Digest | None = None  # its notifications leave together (docs/time.md)
    # In quiet hours. None: ignore where lane is urgent, otherwise hold.
    quiet: Literal["hold", "drop", "passive", "ignore"] | None = None
    may_override: tuple[Literal["quiet_hours"], ...] = ()  # what an event may pass with options.override
    unless_read_seconds: int = Field(default=0, ge=0, le=3600)  # so long it waits, and is sent if it was not read
    read_gate: bool = False  # the keeper is asked whether it was read, which costs a few milliseconds
    mandatory: bool = False  # nobody can opt out of it
    opt_in: bool = False  # only for users who have said on
    # What reporters keep. full: sums, published to push.report.v1 too; history: deliveries of users alone, for traffic
    # with an id for each recipient; absent: sums. Broadcasts have full.
    report: Literal["full", "history"] | None = None

    @property
    def is_capped(self) -> bool:
        """Whether frequency caps hold it up: by the class, not by the topic."""
        return self.caps == "apply" if self.caps is not None else self.lane is not Lane.URGENT

    @property
    def in_quiet_hours(self) -> Quiet:
        """By the class, not by the topic: no producer gets out of it by the urgent one."""
        if self.quiet is not None:
            return Quiet(self.quiet)
        return Quiet.IGNORE if self.lane is Lane.URGENT else Quiet.HOLD

    @model_validator(mode="after")
    def _opting_is_one_way(self) -> Self:
        if self.mandatory and self.opt_in:
            raise ValueError("mandatory and opt_in exclude each other")
        return self

    per_minute: int | None = Field(default=None, ge=1, le=MAX_PER_MINUTE)  # at most, of all users together
    # Undelivered Web Push of it can be taken back from its service where that is known to delete (Mozilla).
    removable: bool = False

    @model_validator(mode="after")
    def _ping_has_a_title(self) -> Self:
        if (self.privacy == "ping") != (self.generic_title is not None):
            raise ValueError("privacy: ping and generic_title belong together: set both")
        return self

    @model_validator(mode="after")
    def _one_kind_of_window(self) -> Self:
        random = (self.window_min_seconds, self.window_max_seconds)
        if random == (None, None):
            return self
        if None in random:
            raise ValueError("window_min_seconds and window_max_seconds belong together: set both")
        if self.window_seconds is not None:
            raise ValueError("set either window_seconds or window_min_seconds and window_max_seconds")
        if (self.window_max_seconds or 0) < (self.window_min_seconds or 0):
            raise ValueError("window_max_seconds is less than window_min_seconds")
        return self


class Campaign(Strict):
    """How fast the notifications leave that carry this label."""

    per_minute: int = Field(ge=1, le=MAX_PER_MINUTE)  # of all users together; `pushcast pace` changes it while it runs


class Observe(Strict):
    """Metrics, health and logs of each role."""

    host: str = "127.0.0.1"
    port: int = Field(default=0, ge=0, le=65535)  # 0: a free one, shown in the log
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    tracing: bool = False  # spans of pushes whose events are sampled, to OTEL_EXPORTER_OTLP_…; needs pushcast[otel]
    log_json: bool | None = None  # None: JSON lines, text where stderr is a terminal


class Identity(Strict):
    """How users of an app prove who they are to the gateway."""

    jwks_file: Path  # public keys of your back end, as a JSON Web Key Set


class Gateway(Strict):
    """The HTTP door. `run all` opens it where this section stands in the configuration."""

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)  # 0: a free one, shown in the log
    certificate_file: Path | None = None  # PEM; without it the connection is plain: for loopback, or behind a balancer
    key_file: Path | None = None
    keys_file: Path | None = None  # API keys as JSON, for the first one: {"<key id>": {…}}
    identity: dict[Name, Identity] = {}  # by app
    device_key_file: Path | None = None  # at least 32 random bytes: devices without a user may register, too
    ack_seconds: float = Field(default=10.0, gt=0, le=60)  # how long an answer waits for Kafka
    request_seconds: float = Field(default=10.0, gt=0, le=300)  # in which the head, and the body, must have come
    max_connections: int = Field(default=2048, ge=1, le=100_000)
    max_connections_per_address: int = Field(default=256, ge=1, le=100_000)

    @model_validator(mode="after")
    def _certificate_with_its_key(self) -> Self:
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file and key_file belong together: set both")
        return self


class Console(Strict):
    """Pages for people. `run all` serves them where this section stands in the configuration."""

    host: str = "127.0.0.1"
    port: int = Field(default=8081, ge=0, le=65535)  # 0: a free one, shown in the log
    certificate_file: Path | None = None  # PEM; without it for this machine alone, or with behind_tls
    key_file: Path | None = None
    behind_tls: bool = False  # something in front ends TLS, so browsers reach it by https
    session_seconds: float = Field(default=28_800.0, gt=0, le=2_592_000)  # how long somebody stays signed in
    secret_file: Path | None = None  # 32 bytes or more that sign cookies, for several consoles; absent: one in data_dir
    trusted_header: str | None = None  # in which a proxy in front says who has signed in there: X-Forwarded-User
    trusted_addresses: tuple[str, ...] = ()  # of that proxy, or its networks: nobody else's header is read
    trusted_key: str | None = None  # id of the key whose rights those people have
    processes: tuple[str, ...] = ()  # host:port of processes on other machines (observe.port), for Now and Health

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


class Reports(Strict):
    """What became of notifications: the reporter's store and port. `run all` starts one where this section stands."""

    host: str = "127.0.0.1"  # where the gateway and `pushcast report` reach it; others need token_file
    port: int = Field(default=0, ge=0, le=65535)  # 0: a free one
    advertised_host: str | None = None  # the name by which others reach this host; absent: host
    token_file: Path | None = None  # shared by reporters and those who ask them
    keep_days: int = Field(default=30, ge=1, le=400)  # of single deliveries; sums are kept

    @model_validator(mode="after")
    def _a_token_beyond_loopback(self) -> Self:
        if self.token_file is None and self.host not in LOOPBACK:
            raise ValueError("token_file is needed where host is not this machine alone")
        return self


class Webhook(Strict):
    """An endpoint that is told what became of deliveries. A reporter posts to it (docs/webhooks.md)."""

    url: str  # https, with a host of allowed_hosts
    secret_file: Path  # whsec_…, one a line: all of them sign; read again when it changes
    events: tuple[Literal["deliveries.ended", "tokens.invalid"], ...] = Field(min_length=1)
    allowed_hosts: tuple[str, ...] = Field(min_length=1)
    apps: tuple[Name, ...] | None = None  # only these; absent: every app
    classes: tuple[Name, ...] | None = None
    outcomes: tuple[Outcome, ...] | None = None  # of deliveries
    reasons: tuple[str, ...] | None = None
    timeout_seconds: float = Field(default=15.0, gt=0, le=30)  # of a request and its answer

    @model_validator(mode="after")
    def _a_public_name_by_https(self) -> Self:
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        if parts.scheme != "https" or not _HOST.fullmatch(host) or parts.username is not None or parts.fragment:
            raise ValueError("url must be https:// and the name of a host, without user, password, fragment or address")
        if host not in self.allowed_hosts:
            raise ValueError(f"the host of url, {host}, is not in allowed_hosts")
        return self


class Slo(Strict):
    """The service level that alerts go by: the share of planned deliveries that a provider accepts in time."""

    within_seconds: int = Field(default=120, ge=1, le=3600)  # of a delivery's due time
    target: float = Field(default=0.9, gt=0, lt=1)  # of each class


class Settings(BaseSettings):
    """Everything a role needs to know. Immutable once loaded."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix="PUSHCAST_", env_nested_delimiter="__", env_ignore_empty=True
    )

    kafka: Kafka = Kafka()
    devices: Devices = Devices()
    sweep: Sweep = Sweep()
    schemas: Schemas = Schemas()
    sealing: Sealing = Sealing()
    plan: Plan = Plan()
    broadcast: Broadcast = Broadcast()
    send: Send = Send()
    retry: Retry = Retry()
    keep: Keep = Keep()
    tickets: Tickets = Tickets()
    park: Park = Park()
    settle: Settle = Settle()
    flood: Flood = Flood()
    classes: dict[Name, Class] = {}
    caps: tuple[Cap, ...] = Field(default=(), max_length=MAX_CAPS)
    apps: dict[Name, App] = {}
    campaigns: dict[Label, Campaign] = {}
    observe: Observe = Observe()
    gateway: Gateway | None = None
    console: Console | None = None
    reports: Reports | None = None
    slo: Slo = Slo()
    webhooks: dict[EndpointName, Webhook] = Field(default={}, max_length=20)
    data_dir: Path = Path(".pushcast")

    @model_validator(mode="before")
    @classmethod
    def _durations(cls, tree: Any) -> Any:
        return with_seconds(tree)

    @model_validator(mode="after")
    def _default_class(self) -> Self:
        if "default" not in self.classes:
            self.classes["default"] = Class(window_seconds=0.05)
        for name in OwnClass:
            if name in self.classes:
                raise ValueError(f"classes.{name}: this class is Pushcast's own; choose another name")
        return self

    @property
    def counted_classes(self) -> frozenset[str]:
        """Classes whose notifications take slots of a frequency cap."""
        named = [name for name, each in self.classes.items() if each.counted or each.is_capped]
        return frozenset(name for name in named if any(cap.classes == "*" or name in cap.classes for cap in self.caps))

    @model_validator(mode="after")
    def _caps_name_what_there_is(self) -> Self:
        refuse_wrong(self.caps, self.classes, self.apps)
        return self

    def waiting_classes(self) -> set[str]:
        """Classes whose window may be longer than the service level allows: they are late on purpose."""
        return {
            name
            for name, each in self.classes.items()
            if max(each.window_seconds or 0, each.window_max_seconds or 0) > self.slo.within_seconds
        }

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        path = config_file()
        file = InitSettingsSource(settings_cls, {} if path is None else read_tree(path))
        return init_settings, env_settings, file


def config_file() -> Path | None:
    """The file that is named or lies here; None for neither."""
    named = os.environ.get(CONFIG_VARIABLE)
    if named:
        return Path(named)
    return DEFAULT_FILE if DEFAULT_FILE.exists() else None


def _refuse_unknown_variables() -> None:
    sections = Settings.model_fields
    for name in os.environ:
        if not name.startswith("PUSHCAST_") or name in OTHER_VARIABLES:
            continue
        section = name.removeprefix("PUSHCAST_").split("__")[0].lower()
        if section not in sections:
            near = get_close_matches(section, sections, 1)
            hint = f"did you mean {near[0].upper()}?" if near else f"sections are {', '.join(sorted(sections))}"
            raise ConfigurationError(f"{name}: there is no setting of this name; {hint}")


def load(**overrides: Any) -> Settings:
    """The settings of this process: overrides, then environment, then file, then defaults.

    Raises ConfigurationError naming each wrong key; values are not shown, they may be secrets.
    """
    _refuse_unknown_variables()
    file = config_file()
    if file is not None and not file.is_file():
        raise ConfigurationError(f"{CONFIG_VARIABLE}: {file} is not a file")
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise ConfigurationError("configuration refused:\n  " + "\n  ".join(sentences(error, Settings))) from None
    except yaml.MarkedYAMLError as error:  # its own text quotes the line, which may hold a secret
        at = error.problem_mark
        where = "" if at is None else f", line {at.line + 1}, column {at.column + 1}"
        raise ConfigurationError(f"configuration refused: {file}{where}: not YAML: {error.problem}") from None
    except (ValueError, OSError) as error:
        raise ConfigurationError(f"configuration refused: {error}") from None
