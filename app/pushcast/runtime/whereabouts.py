"""Where the running processes of this machine listen: one small file each under `<data_dir>/run`."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """A process that serves /metrics, /health and /_info."""

    name: str
    pid: int
    host: str
    port: int


def write(data_dir: Path, entry: Whereabouts) -> Path:
    """Replaces the file in one step, so that no reader sees half of it."""
    folder = data_dir / "run"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{entry.name}.json"
    scratch = path.with_suffix(f".{entry.pid}.tmp")
    scratch.write_bytes(msgspec.json.encode(asdict(entry)))
    scratch.replace(path)
    return path


def read_all(data_dir: Path) -> list[Whereabouts]:
    """Every process that wrote its file and is alive."""
    found = []
    for path in sorted((data_dir / "run").glob("*.json")):
        entry = msgspec.json.decode(path.read_bytes(), type=Whereabouts)
        try:
            os.kill(entry.pid, 0)
        except ProcessLookupError:
            continue
        found.append(entry)
    return found
