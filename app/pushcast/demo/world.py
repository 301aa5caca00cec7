"""A whole Pushcast on this machine: a Kafka, provider simulators, a configuration, the roles.

The demo's leaves nothing behind; that of `pushcast up` has a folder that stays.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

from pushcast.config.servers import servers as one_form
from pushcast.config.settings import CONFIG_VARIABLE, Settings, load
from pushcast.demo.load import APPS, PLATFORM_SHARES
from pushcast.demo.sections import DEMO_SECTIONS, PARTITIONS, TRANSIENT_ERRORS, WRITTEN
from pushcast.demo.simulated import START_SECONDS, Simulated, ask, stop_process
from pushcast.kafka import embedded
from pushcast.kafka.clients import client_config
from pushcast.kafka.topics import apply, load_topology
from pushcast.model.errors import ConfigurationError, PushcastError
from pushcast.model.plural import counted
from pushcast.model.words import Lane, Platform
from pushcast.runtime import whereabouts
from pushcast.runtime.child import child_command
from pushcast.runtime.layout import processes
from pushcast.transport.folders import private_folder

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Options:
    """How a world differs from the demo's own."""

    bootstrap_servers: str | None = None  # None: a temporary cluster
    keep: bool = False  # the folder, with configuration and logs
    brokers: int = 1
    broker_properties: Mapping[str, str] = field(default_factory=dict)  # of a temporary cluster
    platforms: Sequence[str] = tuple(PLATFORM_SHARES)
    apps: Sequence[str] = APPS
    #: A folder that stays, and with it the Kafka of this world; None: both are temporary.
    home: Path | None = None
    config_file: Path | None = None  # None: in the folder
    sections: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: DEMO_SECTIONS)
    transient_errors: float = TRANSIENT_ERRORS
    #: Sections of `pushcast.yaml` whose keys replace those above.
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    supervised: bool = True  # False: no role is started


class World:
    """A whole Pushcast on this machine, in a folder of its own."""

    def __init__(self, say: Say, options: Options | None = None) -> None:
        self._say = say
        self.options = Options() if options is None else options
        self._stack = ExitStack()
        self.simulators: dict[str, Simulated] = {}
        self.cluster: embedded.Cluster | None = None  # None: a Kafka that was given
        self._roles: subprocess.Popen[bytes] | None = None
        self.settings: Settings

    def __enter__(self) -> World:
        with ExitStack() as stack:
            self._stack = stack
            self._build(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _build(self, stack: ExitStack) -> None:
        self.folder = self._folder(stack)
        self.log_file = stack.enter_context((self.folder / "roles.log").open("wb"))
        servers = self.options.bootstrap_servers or self._kafka(stack)
        self._say(f"Kafka answers at {servers}")
        for platform in self.options.platforms:
            simulator = Simulated(platform, self.options.apps, self.folder / platform, self.log_file)
            stack.callback(simulator.stop)
            simulator.fail_sometimes(self.options.transient_errors)
            simulator.lift_quota()
            self.simulators[platform] = simulator
            self._say(f"{platform} simulator at {simulator.url}")
        path = (self.options.config_file or self.folder / "pushcast.yaml").absolute()
        path.write_text(WRITTEN + yaml.safe_dump(self._configuration(servers), sort_keys=False))
        self.environment = {**os.environ, CONFIG_VARIABLE: str(path)}
        os.environ[CONFIG_VARIABLE] = str(path)
        stack.callback(os.environ.pop, CONFIG_VARIABLE, None)
        self.settings = load()
        kafka = self.settings.kafka
        servers = one_form(servers, kafka.security.protocol)
        if kafka.bootstrap_servers != servers:
            raise ConfigurationError(
                f"PUSHCAST_KAFKA__BOOTSTRAP_SERVERS names {kafka.bootstrap_servers}, and this Kafka is at {servers}: "
                "unset it"
            )
        client = client_config(servers, kafka.security)
        changes = apply(client, load_topology(), kafka.partitions, kafka.replication_factor)
        self._say(f"topology applied: {counted(len(changes), 'change')}")
        if self.options.supervised:
            stack.callback(self.stop_roles)
            self.start_roles()

    def _folder(self, stack: ExitStack) -> Path:
        if self.options.home is not None:
            return private_folder(self.options.home.absolute())
        if self.options.keep:
            return Path(tempfile.mkdtemp(prefix="pushcast-demo-"))
        # A role that is killed may leave a file behind while the folder goes.
        return Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="pushcast-demo-", ignore_cleanup_errors=True))
        )

    def _kafka(self, stack: ExitStack) -> str:
        """Starts the world's own."""
        self._say("starting Apache Kafka (the first time 111 MB of its jars are downloaded)")
        if self.options.home is None:
            own = self.options.broker_properties
            self.cluster = stack.enter_context(
                embedded.temporary_cluster(self.options.brokers, properties=own, progress=self._say)
            )
            return self.cluster.bootstrap_servers
        data = kafka_folder(self.folder)
        stack.callback(embedded.stop, data)
        return embedded.start(brokers=self.options.brokers, data_dir=data, progress=self._say).bootstrap_servers

    def _configuration(self, servers: str) -> dict[str, Any]:
        apps = {
            name: {platform: line.provider_settings(name) for platform, line in self.simulators.items()}
            for name in self.options.apps
        }
        replicas = min(3, self.options.brokers)
        own: dict[str, Any] = {
            "kafka": {"bootstrap_servers": servers, "partitions": PARTITIONS, "replication_factor": replicas},
            **self.options.sections,
            "apps": apps,
            "data_dir": str(data_folder(self.folder)),
        }
        for section, values in self.options.overrides.items():
            own[section] = {**own.get(section, {}), **values}
        return own

    def transient_errors(self) -> int:
        """How many requests the simulators answered with a passing error on purpose."""
        rules = [simulator.control("/rules") for simulator in self.simulators.values()]
        return sum(rule["applied"] for rows in rules for rule in rows)

    def start_roles(self) -> None:
        """Starts `pushcast run all` and waits until every role is ready."""
        settings = self.settings
        wanted = {plan.name for plan in processes(settings, list(Lane), list(Platform))}
        self._say(f"starting {counted(len(wanted), 'process')}, which takes about ten seconds")
        command = child_command("run", "all")
        self._roles = subprocess.Popen(
            command,
            stdout=self.log_file,
            stderr=self.log_file,
            env=self.environment,
            start_new_session=True,
        )
        deadline = time.monotonic() + START_SECONDS
        waiting = set(wanted)
        while waiting:
            if self._roles.poll() is not None:
                raise PushcastError(f"the roles ended with {self._roles.returncode}:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise PushcastError(f"not ready after {START_SECONDS:.0f} s: {sorted(waiting)}\n{self.log_tail()}")
            for entry in whereabouts.read_all(settings.data_dir):
                if entry.name in waiting and ready(entry):
                    waiting.discard(entry.name)
            time.sleep(0.1)
        self._say("every role is ready")

    def stop_roles(self) -> None:
        """Stops the roles as Ctrl-C would, and waits for them."""
        if self._roles is not None:
            stop_process(self._roles)
            self._roles = None

    def check_roles(self) -> None:
        """Raises PushcastError when the supervisor or a simulator has ended."""
        for simulator in self.simulators.values():
            simulator.check()
        if self._roles is not None and self._roles.poll() is not None:
            raise PushcastError(f"the roles ended with {self._roles.returncode}:\n{self.log_tail()}")

    def log_tail(self) -> str:
        """The last lines of the roles' log."""
        lines = Path(self.log_file.name).read_text(errors="replace").splitlines()
        return "\n".join(lines[-15:])

    def infos(self) -> dict[str, dict[str, Any]]:
        """`/_info` of every role by process name; a role that does not answer is left out."""
        found = {}
        for entry in whereabouts.read_all(self.settings.data_dir):
            try:
                found[entry.name] = ask(f"http://{entry.host}:{entry.port}/_info")
            except (OSError, ValueError):  # it may be on its way out, or killed within its answer
                continue
        return found

    def simulator_stats(self) -> dict[str, dict[str, Any]]:
        """What each simulator counted."""
        return {name: simulator.stats() for name, simulator in self.simulators.items()}

    def platforms(self) -> list[Platform]:
        """Platforms that have a simulator."""
        return [Platform(name) for name in self.simulators]

    def subscribe(self, app: str, dead: bool, count: int) -> list[dict[str, str]]:
        """Web Push subscriptions bound to the app's key; dead ones answer 410."""
        simulator = self.simulators["webpush"]
        key = simulator.description["credentials"]["apps"][app]["vapid_public_key"]
        wanted = {"count": count, "vapid_public_key": key, "verdict": "410" if dead else "ok"}
        found: list[dict[str, str]] = simulator.control("/subscribe", wanted)["subscriptions"]
        return found


def kafka_folder(home: Path) -> Path:
    """Where the Kafka of a folder that stays has its data."""
    return home / "kafka"


def data_folder(home: Path) -> Path:
    """The roles' data directory."""
    return home / "data"


def ready(entry: whereabouts.Whereabouts) -> bool:
    """Whether the process says that its Apps are."""
    url = f"http://{entry.host}:{entry.port}/health/ready"
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.HTTPError, OSError):
        return False
