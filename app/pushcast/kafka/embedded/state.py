"""What a data directory holds: `cluster.json` (this file's Layout) and one folder per broker.

<data_dir>/cluster.json
<data_dir>/broker-1/{server.properties, log4j2.xml, kafka.log, stdout.log, pid, data/}
"""

from __future__ import annotations

import contextlib
import fcntl
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pushcast.kafka.embedded.errors import StorageError
from pushcast.kafka.embedded.jars import KAFKA_VERSION
from pushcast.kafka.embedded.ports import HOST
from pushcast.whole_files import write_whole

_STATE_FILE = "cluster.json"
#: The user's own broker settings, in the data directory.
EXTRA_PROPERTIES = "extra.properties"
_GUARD_FILE = ".lock"
#: What a start that was killed at once has left; the last is half a state file.
_BEFORE_A_CLUSTER = frozenset({_GUARD_FILE, EXTRA_PROPERTIES, f".{_STATE_FILE}.new"})


@dataclass(frozen=True, slots=True)
class ClusterInfo:
    """A running embedded cluster as others see it. `pids` and `log_files` are in the order of the brokers; a broker
    that is down has no pid here."""

    bootstrap_servers: str
    brokers: int
    pids: tuple[int, ...]
    data_dir: Path
    log_files: tuple[Path, ...]

    def to_dict(self) -> dict[str, Any]:
        """The JSON form of the outside contract."""
        return {
            "bootstrap_servers": self.bootstrap_servers,
            "brokers": self.brokers,
            "pids": list(self.pids),
            "data_dir": str(self.data_dir),
            "log_files": [str(path) for path in self.log_files],
        }


@dataclass(frozen=True, slots=True)
class Layout:
    """What does not change while a data directory lives, and the ports of its last start."""

    cluster_id: str
    ports: tuple[int, ...]
    controller_ports: tuple[int, ...]
    kafka_version: str = KAFKA_VERSION

    @property
    def brokers(self) -> int:
        return len(self.ports)

    @property
    def bootstrap_servers(self) -> str:
        return ",".join(f"{HOST}:{port}" for port in self.ports)

    def on_ports(self, ports: list[int], controller_ports: list[int]) -> Layout:
        return replace(self, ports=tuple(ports), controller_ports=tuple(controller_ports))


def broker_dir(data_dir: Path, index: int) -> Path:
    """The folder of the broker with 0-based `index`; its Kafka node id is `index + 1`."""
    return data_dir / f"broker-{index + 1}"


def read(data_dir: Path) -> Layout | None:
    """None when there is nothing here yet. Raises StorageError when the directory holds something else."""
    path = data_dir / _STATE_FILE
    try:
        row = json.loads(path.read_text())
        ports, controller_ports = _ports(row["ports"]), _ports(row["controller_ports"])
        if len(ports) != len(controller_ports):
            raise ValueError("it has not as many ports as controller_ports")
        return Layout(row["cluster_id"], ports, controller_ports, row["kafka_version"])
    except FileNotFoundError:
        pass
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(f"{path} is damaged ({error}); remove {data_dir} to begin anew") from error
    with usable(data_dir):
        if data_dir.is_dir() and any(each.name not in _BEFORE_A_CLUSTER for each in data_dir.iterdir()):
            raise StorageError(f"{data_dir} is not empty and not a data directory of `pushcast kafka`; choose another")
    return None


def _ports(found: list[int]) -> tuple[int, ...]:
    if not found or not all(type(port) is int and 0 < port < 65_536 for port in found):
        raise ValueError("a port is a number from 1 to 65535")
    return tuple(found)


def write(data_dir: Path, layout: Layout) -> None:
    """Stores the layout of a cluster."""
    write_whole(data_dir / _STATE_FILE, (json.dumps(asdict(layout), indent=2) + "\n").encode())


def directory_of(data_dir: Path) -> Path:
    """One name for one directory, whatever links and `..` lead there: brokers are known by it on their command line."""
    return data_dir.resolve()


def is_there(data_dir: Path) -> bool:
    """Raises StorageError where nobody may look."""
    with usable(data_dir):
        return data_dir.is_dir()


@contextlib.contextmanager
def usable(data_dir: Path) -> Iterator[None]:
    """What the operating system refuses within it is a StorageError: a full disk, a folder of somebody else."""
    try:
        yield
    except OSError as error:
        named = f" ({error.filename})" if error.filename else ""
        raise StorageError(f"in {data_dir}: {error.strerror or error}{named}") from error


@contextlib.contextmanager
def exclusive(data_dir: Path) -> Iterator[None]:
    """One start or stop at a time in this directory; blocks until the other is done. `usable` holds meanwhile."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        guard = (data_dir / _GUARD_FILE).open("w")
    except OSError as error:
        raise StorageError(f"cannot use {data_dir} as data directory: {error.strerror}") from error
    with guard, usable(data_dir):
        fcntl.flock(guard, fcntl.LOCK_EX)
        yield
