"""What the demo needs around it: a Kafka, provider simulators, a configuration, the roles. Leaves nothing behind."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import yaml

from pushcast.config.settings import CONFIG_VARIABLE, Settings, load
from pushcast.demo.load import APPS, PLATFORM_SHARES
from pushcast.kafka import embedded
from pushcast.kafka.security import librdkafka_config
from pushcast.kafka.topics import apply, load_topology
from pushcast.model.errors import PushcastError
from pushcast.model.words import Lane, Platform
from pushcast.runtime import whereabouts
from pushcast.runtime.child import child_command
from pushcast.runtime.layout import processes

PARTITIONS = 8
#: Share of the requests that the providers answer with a passing error, and how long their retries wait.
TRANSIENT_ERRORS = 0.01
EXPO_REQUEST_PUSHES = 100  # a rule is asked for each push of a request, and one of them is enough
RETRY_RUNGS_SECONDS = [1, 1, 2, 2]
START_SECONDS = 180.0
STOP_SECONDS = 45.0
Say = Callable[[str], None]


class World:
    """A whole Pushcast on this machine, in a folder of its own."""

    def __init__(self, say: Say, bootstrap_servers: str | None = None, keep: bool = False) -> None:
        self._say = say
        self._given = bootstrap_servers
        self._keep = keep
        self._stack = ExitStack()
        self._simulators: dict[str, dict[str, Any]] = {}
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
        if self._keep:
            self.folder = Path(tempfile.mkdtemp(prefix="pushcast-demo-"))
        else:
            self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pushcast-demo-")))
        self.log_file = stack.enter_context((self.folder / "roles.log").open("wb"))
        servers = self._given
        if servers is None:
            self._say("starting Apache Kafka (the first time its jars are downloaded)")
            cluster = stack.enter_context(embedded.temporary_cluster())
            servers = cluster.info.bootstrap_servers
        self._say(f"Kafka answers at {servers}")
        for platform in PLATFORM_SHARES:
            self._simulators[platform] = self._start_simulator(stack, platform)
            self._say(f"{platform} simulator at {self._simulators[platform]['url']}")
        path = self.folder / "pushcast.yaml"
        path.write_text(yaml.safe_dump(self._configuration(servers), sort_keys=False))
        self._environment = {**os.environ, CONFIG_VARIABLE: str(path)}
        os.environ[CONFIG_VARIABLE] = str(path)
        stack.callback(os.environ.pop, CONFIG_VARIABLE, None)
        self.settings = load()
        kafka = self.settings.kafka
        client = {"bootstrap.servers": servers, **librdkafka_config(kafka.security)}
        changes = apply(client, load_topology(), kafka.partitions, kafka.replication_factor)
        self._say(f"topology applied: {len(changes)} changes")
        stack.callback(self.stop_roles)
        self.start_roles()

    def _configuration(self, servers: str) -> dict[str, Any]:
        apps = {
            name: {platform: _provider(platform, line, name) for platform, line in self._simulators.items()}
            for name in APPS
        }
        return {
            "kafka": {"bootstrap_servers": servers, "partitions": PARTITIONS},
            "classes": {
                "default": {"lane": "normal", "window_seconds": 0.05},
                "breaking": {"lane": "bulk", "window_seconds": 0.1, "ttl_seconds": 3600},
                "code": {"lane": "urgent", "window_seconds": 0, "ttl_seconds": 600},
            },
            "retry": {"rungs_seconds": RETRY_RUNGS_SECONDS},
            "apps": apps,
            "data_dir": str(self.folder / "data"),
        }

    def _start_simulator(self, stack: ExitStack, platform: str) -> dict[str, Any]:
        names = [part for app in APPS for part in ("--topic", f"com.example.{app}")]
        command = child_command("sim", platform, *names, "--work-dir", str(self.folder / platform))
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log_file, start_new_session=True)
        stack.callback(_stop, process)
        assert process.stdout is not None
        line = _first_line(process.stdout, START_SECONDS)
        if not line:
            raise PushcastError(f"the {platform} simulator did not start; see {self.log_file.name}")
        found: dict[str, Any] = json.loads(line)
        probability = TRANSIENT_ERRORS / (EXPO_REQUEST_PUSHES if platform == "expo" else 1)
        rule = {"effect": "status:503", "probability": probability}
        _request(f"{found['control_url']}/rules", [rule], "PUT")
        return found

    def transient_errors(self) -> int:
        """How many requests the simulators answered with a passing error on purpose."""
        rules = [_request(f"{line['control_url']}/rules") for line in self._simulators.values()]
        return sum(rule["applied"] for rows in rules for rule in rows)

    def start_roles(self) -> None:
        """Starts `pushcast run all` and waits until every role is ready."""
        settings = self.settings
        wanted = {plan.name for plan in processes(settings, list(Lane), list(Platform))}
        self._say(f"starting {len(wanted)} processes")
        command = child_command("run", "all")
        self._roles = subprocess.Popen(
            command,
            stdout=self.log_file,
            stderr=self.log_file,
            env=self._environment,
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
                if entry.name in waiting and _ready(entry):
                    waiting.discard(entry.name)
            time.sleep(0.1)
        self._say("every role is ready")

    def stop_roles(self) -> None:
        """Stops the roles as Ctrl-C would, and waits for them."""
        if self._roles is not None:
            _stop(self._roles)
            self._roles = None

    def check_roles(self) -> None:
        """Raises PushcastError when the supervisor has ended."""
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
                found[entry.name] = get_json(f"http://{entry.host}:{entry.port}/_info")
            except OSError:
                continue
        return found

    def simulator_stats(self) -> dict[str, dict[str, Any]]:
        """What each simulator counted."""
        return {name: get_json(f"{line['control_url']}/stats") for name, line in self._simulators.items()}

    def platforms(self) -> list[Platform]:
        """Platforms that have a simulator."""
        return [Platform(name) for name in self._simulators]

    def subscribe(self, app: str, dead: bool, count: int) -> list[dict[str, str]]:
        """Web Push subscriptions bound to the app's key; dead ones answer 410."""
        line = self._simulators["webpush"]
        key = line["credentials"]["apps"][app]["vapid_public_key"]
        wanted = {"count": count, "vapid_public_key": key, "verdict": "410" if dead else "ok"}
        found: list[dict[str, str]] = _request(f"{line['control_url']}/subscribe", wanted)["subscriptions"]
        return found


def _request(url: str, value: Any = None, method: str | None = None) -> Any:
    """JSON to and from a simulator's control port. Raises OSError."""
    data = None if value is None else json.dumps(value).encode()
    request = urllib.request.Request(  # noqa: S310 - our own simulator's address
        url, data, {"content-type": "application/json"}, method=method
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        return json.loads(answer.read())


def get_json(url: str) -> dict[str, Any]:
    """GET on loopback. Raises OSError."""
    with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own processes' addresses
        found: dict[str, Any] = json.loads(answer.read())
    return found


def _ready(entry: whereabouts.Whereabouts) -> bool:
    url = f"http://{entry.host}:{entry.port}/health/ready"
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.HTTPError, OSError):
        return False


def _first_line(stream: IO[bytes], seconds: float) -> bytes:
    readable, _, _ = select.select([stream], [], [], seconds)
    return stream.readline() if readable else b""


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _provider(platform: str, line: dict[str, Any], app: str) -> dict[str, Any]:
    """The app's provider settings for a simulator."""
    credentials = line["credentials"]["apps"][app]
    known = {name: credentials[name] for name in _SETTINGS[platform]}
    if platform == "webpush":  # the endpoint is each subscription's own
        return {"ca_file": line["ca_file"], "allow_loopback": True, **known}
    return {"endpoint": line["url"], "ca_file": line["ca_file"], **known}


_SETTINGS = {
    "apns": ("key_file", "key_id", "team_id", "topic", "environment"),
    "fcm": ("service_account_file", "project_id", "token_endpoint"),
    "webpush": ("vapid_key_file", "subject", "allowed_hosts"),
    "expo": ("access_token_file",),
}
