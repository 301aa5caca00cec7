"""Where the running processes of this machine listen: one small file each under `<data_dir>/run`."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec
import structlog

from pushcast.model.errors import ConfigurationError
from pushcast.model.urls import http_url
from pushcast.whole_files import write_whole
from pushcast.wire.json_errors import UNREADABLE

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """A process that serves /metrics, /health and /_info."""

    name: str
    pid: int
    host: str
    port: int

    @property
    def url(self) -> str:
        """Without a path."""
        return http_url(self.host, self.port)


def write(data_dir: Path, entry: Whereabouts) -> Path:
    """Writes the file of this process in one step, so that no reader sees half of it; returns its path.

    Two processes may have one name: a second member of a role has the name of the first. Files that killed processes of
    this name left are removed. Raises ConfigurationError when `data_dir` cannot be made.
    """
    folder = data_dir / "run"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"the folder {folder} cannot be made (data_dir): {error.strerror}") from error
    for path, other in _files(data_dir):
        if other.name == entry.name and not lives(other.pid):
            path.unlink(missing_ok=True)
    path = folder / f"{entry.name}.{entry.pid}.json"
    write_whole(path, msgspec.json.encode(asdict(entry)))
    return path


def read_all(data_dir: Path) -> list[Whereabouts]:
    """Every process that wrote its file and is alive, by name."""
    return [entry for _, entry in _files(data_dir) if lives(entry.pid)]


def _files(data_dir: Path) -> list[tuple[Path, Whereabouts]]:
    found = []
    for path in sorted((data_dir / "run").glob("*.json")):
        try:
            found.append((path, msgspec.json.decode(path.read_bytes(), type=Whereabouts)))
        except FileNotFoundError:  # this process has just ended
            continue
        except (*UNREADABLE, OSError) as error:  # of another release, or somebody else's: no process shall end of it
            log.warning("whereabouts_unreadable", file=str(path), problem=str(error))
    return found


def lives(pid: int) -> bool:
    """Whether a process of this machine has this id, whoever it belongs to."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
