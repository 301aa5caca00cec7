"""`pushcast up` and `down`: a whole Pushcast in a folder, to be tried by hand, and the end of what it started."""

from __future__ import annotations

import os
import random
import shlex
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pushcast.audit.reader import Books
from pushcast.config.settings import CONFIG_VARIABLE, DEFAULT_FILE
from pushcast.demo.load import DeviceOf, token_of
from pushcast.demo.produce import register, subscribe
from pushcast.demo.sections import WRITTEN
from pushcast.demo.world import Options, Say, World, data_folder, kafka_folder
from pushcast.kafka import embedded
from pushcast.model.errors import ConfigurationError, PushcastError
from pushcast.model.words import Lane
from pushcast.transport.folders import FolderLocks, holder
from pushcast.wire.control.api_keys import ApiKey, Hash, Scope, encode_record, new_key

HOME: Final = Path(".pushcast/up")
APP: Final = "news"
USER: Final = "u1"
#: The classes of the README's examples.
SECTIONS: Final[Mapping[str, Mapping[str, Any]]] = {
    "classes": {
        "default": {"lane": "normal", "window_seconds": 0.05},
        "breaking": {"lane": "urgent", "window_seconds": 0, "ttl_seconds": 3600},
        "digest": {"lane": "bulk", "window_min_seconds": 1, "window_max_seconds": 2},
    }
}
CHECK_SECONDS: Final = 1.0
GATEWAY_PORT: Final = 8080
CONSOLE_PORT: Final = 8081
#: Roles, simulators and a broker end one after the other, each within its own bound.
DOWN_SECONDS: Final = 180.0
POLL_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Place:
    """Where `up` keeps its things, and the configuration that the other commands find."""

    home: Path
    config_file: Path

    @classmethod
    def here(cls) -> Place:
        """The current folder's; the configuration is where PUSHCAST_CONFIG says, if it says so."""
        return cls(HOME.absolute(), Path(os.environ.get(CONFIG_VARIABLE) or DEFAULT_FILE).absolute())

    def require_ours(self) -> None:
        """Raises ConfigurationError when the configuration is somebody's own, which `up` would overwrite."""
        if self.config_file.exists() and not self._ours():
            raise ConfigurationError(
                f"{self.config_file} was not written by `pushcast up`, which would replace it: "
                "start it in another folder, or name another file with PUSHCAST_CONFIG"
            )

    def remove(self) -> None:
        """Data, logs, simulated credentials and the configuration."""
        if self.home.exists():
            shutil.rmtree(self.home)
            with suppress(OSError):  # a folder that other commands use, too, stays
                self.home.parent.rmdir()
        if self.config_file.exists() and self._ours():
            self.config_file.unlink()

    def _ours(self) -> bool:
        return self.config_file.read_text(errors="replace").startswith(WRITTEN)


def up(place: Place, platforms: Sequence[str], say: Say, stop: threading.Event, started: threading.Event) -> None:
    """Starts everything, prints what to try, and returns after `stop`, with everything stopped.

    It sets `started` when it begins to look at `stop`; until then an exception has to end it.

    Raises ConfigurationError when it is up already or the configuration is another's, PushcastError when a part does
    not start or ends.
    """
    if (pid := holder(place.home)) is not None:
        raise ConfigurationError(f"it is up in this folder already (pid {pid}); `pushcast down` stops it")
    place.require_ours()
    locks = FolderLocks([place.home])
    door = open_door(place.home)
    options = Options(
        platforms=platforms,
        apps=[APP],
        transient_errors=0.0,
        home=place.home,
        config_file=place.config_file,
        sections={
            **SECTIONS,
            "gateway": {"port": door.port, "keys_file": str(door.keys_file)},
            "console": {"port": door.console_port},
            "reports": {},
        },
    )
    try:
        with World(say, options) as world:
            _register_first_user(world)
            sys.stdout.write(guide(command(), platforms, str(world.log_file.name), door))
            sys.stdout.flush()
            started.set()
            while not stop.wait(CHECK_SECONDS):
                world.check_roles()
            say("stopping everything")
    finally:
        locks.close()


def down(place: Place, data: bool, say: Say) -> bool:
    """Stops what `up` started in this folder; with `data` removes what it left, too. False when nothing ran.

    Raises PushcastError when something does not end.
    """
    # The roles' supervisor has a lock of its own: it may have outlived an `up` that was killed.
    stopped = [_end(folder) for folder in (place.home, data_folder(place.home) / "run")]
    stopped.append(embedded.stop(kafka_folder(place.home), progress=say))
    if data:
        place.remove()
    return any(stopped)


@dataclass(frozen=True, slots=True)
class Door:
    """Where the HTTP gateway and the console of `up` listen, and a key that may do everything."""

    port: int
    console_port: int
    key: str
    keys_file: Path


def open_door(home: Path) -> Door:
    """Free ports, 8080 and 8081 when they are, and a new key; the key's record is written to a file for both."""
    key_id, key, digest = new_key()
    record = ApiKey(tuple(Scope), (Hash(digest, time.time_ns() // 1_000_000),), label="pushcast up")
    keys_file = home / "keys.json"
    keys_file.touch(mode=0o600)
    keys_file.chmod(0o600)  # one of an earlier start may be readable by all
    keys_file.write_bytes(b'{"%b":%b}' % (key_id.encode(), encode_record(record)))
    with _free_port(GATEWAY_PORT) as gateway, _free_port(CONSOLE_PORT) as console:
        return Door(gateway.getsockname()[1], console.getsockname()[1], key, keys_file)


def _free_port(wanted: int) -> socket.socket:
    """Bound to it, or to another when it is taken: no second one is given out until it is closed."""
    probe = socket.socket()
    for port in (wanted, 0):
        with suppress(OSError):
            probe.bind(("127.0.0.1", port))
            break
    return probe


def guide(command: str, platforms: Sequence[str], log_file: str, door: Door) -> str:
    """What to try now. Each command works as it stands, in the same folder."""
    return f"""
Everything is up.

  Console    http://127.0.0.1:{door.console_port}
  First key  {door.key}

User {USER} has a device of app {APP} on {", ".join(platforms)}. In another terminal, in this folder:

  curl http://127.0.0.1:{door.port}/v1/notifications -H "Authorization: Bearer {door.key}" \\
    -H "Content-Type: application/json" -d '{{"user":"{USER}","app":"{APP}","title":"Goal!"}}'

  {command} send --user {USER} --app {APP} --title "Goal!" --body "1:0" --wait
  {command} status
  {command} audit
  {command} report list

Logs of the roles: {log_file}. Ctrl-C stops everything, and so does `{command} down`.
"""


def command() -> str:
    """How this program was called, for a shell."""
    called = Path(sys.argv[0])
    return shlex.quote(sys.argv[0]) if called.name == "pushcast" else f"{shlex.quote(sys.executable)} -m pushcast"


def _register_first_user(world: World) -> None:
    """One device for each platform; returns when every planner knows them."""
    devices = [_device(number, platform) for number, platform in enumerate(world.simulators, 1)]
    subscribe(world, devices)
    with Books(world.settings) as books:
        register(world, books, devices, lambda *_: None, planners=len(Lane))


def _device(number: int, platform: str) -> DeviceOf:
    event = {"op": "register", "app": APP, "device": f"{USER}-{platform}", "platform": platform}
    if platform != "webpush":  # its subscription is the push service's
        event["token"] = token_of(platform, APP, number, False, random.Random(USER))
    return DeviceOf(USER, event, dead=False)


def _end(folder: Path) -> bool:
    """SIGTERM to the process that holds the folder, and waits until it is gone."""
    if (pid := holder(folder)) is None:
        return False
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + DOWN_SECONDS
    while holder(folder) == pid:
        if time.monotonic() > deadline:
            raise PushcastError(f"process {pid} has not ended within {DOWN_SECONDS:.0f} s; see its log in {folder}")
        time.sleep(POLL_SECONDS)
    return True
