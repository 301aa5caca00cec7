"""`pushcast.yaml` and `PUSHCAST_SECTION__KEY`, as one strict tree. Durations in seconds, sizes in bytes."""

from __future__ import annotations

import os
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from pushcast.config.caps import MAX_CAPS, Cap, refuse_wrong
from pushcast.config.classes import Campaign, Class
from pushcast.config.doors import Console, Gateway, Observe, Reports, Webhook
from pushcast.config.providers import App
from pushcast.config.reading import read_tree, with_seconds
from pushcast.config.refusals import sentences
from pushcast.config.security import KafkaSecurity
from pushcast.config.servers import servers
from pushcast.config.stages import Broadcast, Devices, Flood, Keep, Park, Plan, Retry, Send, Sweep, Tickets
from pushcast.config.strict import EndpointName, Label, Name, Strict
from pushcast.model.caps import CapRule
from pushcast.model.errors import ConfigurationError
from pushcast.model.own import OwnClass
from pushcast.model.words import Lane

CONFIG_VARIABLE = "PUSHCAST_CONFIG"
DEFAULT_FILE = Path("pushcast.yaml")
# Variables that other parts read themselves; every other PUSHCAST_* must be a key of this tree.
OTHER_VARIABLES = frozenset(
    {CONFIG_VARIABLE, "PUSHCAST_JAVA", "PUSHCAST_CACHE_DIR", "PUSHCAST_MAVEN_MIRROR", "PUSHCAST_CA_FILE"}
)


class Kafka(Strict):
    """Where the cluster is and how its topics are laid out."""

    bootstrap_servers: str = "127.0.0.1:9092"  # host:port of some brokers, with commas between them
    partitions: int = Field(default=8, ge=1, le=1024)  # of every topic of the way; never changed in place
    # Of every topic; a cluster that must survive a lost broker needs 3.
    replication_factor: int = Field(default=1, ge=1, le=7)
    security: KafkaSecurity = KafkaSecurity()
    # Between commits of offsets; a kill makes at most so much be read again.
    commit_interval_seconds: float = Field(default=0.25, gt=0, le=60)
    # Without a heartbeat, after which the partitions of a process go to others.
    session_timeout_seconds: float = Field(default=10, ge=6, le=300)

    @model_validator(mode="after")
    def _servers_in_one_form(self) -> Self:
        try:
            found = servers(self.bootstrap_servers, self.security.protocol)
        except ValueError as error:
            raise ValueError(f"bootstrap_servers: {error}") from None
        object.__setattr__(self, "bootstrap_servers", found)
        return self


class Schemas(Strict):
    """Where writer schemas of Confluent frames come from, and in which generation of schemas the stages write.

    1 while roles of the release before still run: they cannot read what it did not know (docs/operations.md).
    """

    registry_url: str | None = None  # of a Confluent Schema Registry; None: Confluent frames are dead letters
    write: Literal[1, 2] = 2  # the generation that the stages write


class Sealing(Strict):
    """Tokens under keys (docs/sealing.md). Registrars seal and senders open; each host's file holds its roles' part."""

    keyring_file: Path | None = None  # made by `pushcast seal add`; None: nothing is sealed
    require: bool = False  # device changes with an address in clear are refused; the file then needs intake keys


class Niceness(Strict):
    """How far the processes of `pushcast run all` yield the CPU of their machine: nice(2), 0 to 19. Those of the urgent
    lane, and the gateway, yield nothing.

    A broker on the same machine gains most by it: every urgent record passes it twice.
    """

    normal: int = Field(default=5, ge=0, le=19)  # planner and sender of the normal lane
    bulk: int = Field(default=10, ge=0, le=19)  # those of the bulk lane
    background: int = Field(default=5, ge=0, le=19)  # registrations, retries, timers, reports, the console

    def of(self, lane: Lane) -> int:
        """Of a lane's planner and sender."""
        return {Lane.URGENT: 0, Lane.NORMAL: self.normal, Lane.BULK: self.bulk}[lane]


class Settle(Strict):
    """What is asked before work that has waited is passed on."""

    # Whether the device is still there, with its token, and its user wants it and wants it now: a copy of the devices
    # table for each settler.
    recheck: bool = True


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
    niceness: Niceness = Niceness()
    classes: dict[Name, Class] = {}
    # At most so many notifications of some classes in a time, for each user (docs/time.md).
    caps: tuple[Cap, ...] = Field(default=(), max_length=MAX_CAPS)
    apps: dict[Name, App] = {}
    campaigns: dict[Label, Campaign] = {}
    observe: Observe = Observe()
    gateway: Gateway | None = None
    console: Console | None = None
    reports: Reports | None = None
    slo: Slo = Slo()
    webhooks: dict[EndpointName, Webhook] = Field(default={}, max_length=20)
    data_dir: Path = Path(".pushcast")  # tables, stores, locks and whereabouts of the processes of this machine

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

    @property
    def cap_rules(self) -> list[CapRule]:
        """The caps as the keeper has them. It hears of notifications of other classes, too, which take no slots."""
        counted, rules = self.counted_classes, [cap.rule for cap in self.caps]
        return [rule._replace(classes=counted if rule.classes is None else rule.classes & counted) for rule in rules]

    @model_validator(mode="after")
    def _caps_name_what_there_is(self) -> Self:
        refuse_wrong(self.caps, self.classes, self.apps)
        return self

    @model_validator(mode="after")
    def _digests_know_their_first_ones(self) -> Self:
        remember = self.keep.remember_seconds
        for name, each in self.classes.items():
            if each.digest is not None and each.digest.must_know_seconds > remember:
                raise ValueError(
                    f"keep.remember_seconds: {remember} s are less than classes.{name}.digest gathers: what was sent "
                    f"first would be forgotten, and join its own digest when its id comes again. Set at least "
                    f"{each.digest.must_know_seconds}, or digest.first to wait"
                )
        return self

    def mirrored_apps(self) -> frozenset[str]:
        """Apps whose topics FCM is told of."""
        return frozenset(name for name, app in self.apps.items() if app.fcm is not None and app.fcm.mirror_topics)

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
    except yaml.reader.ReaderError as error:  # its own text quotes the character
        place = f"{file}, character {error.position + 1}"
        raise ConfigurationError(f"configuration refused: {place}: not YAML: {error.reason}") from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"configuration refused: {file}, byte {error.start + 1}: not UTF-8") from None
    except RecursionError:  # a running process that looks at its file again goes on
        raise ConfigurationError(f"configuration refused: {file} is nested too deeply, or holds itself") from None
    except (ValueError, OSError) as error:
        raise ConfigurationError(f"configuration refused: {error}") from None
