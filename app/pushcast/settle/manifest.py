"""What a redrive has done, on disk, so that it can be stopped and run again, with the same or with another filter."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from pushcast.model.errors import ConfigurationError
from pushcast.whole_files import write_whole
from pushcast.wire.json_errors import UNREADABLE

VERSION = 1
#: Below `data_dir`.
FILE = "redrive.json"


class _Stored(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    done: dict[str, dict[str, list[tuple[int, int]]]]  # dead-letter topic -> partition -> ranges, end excluded
    ends: dict[str, dict[str, int]]  # source topic -> partition -> its end before the last step


class Manifest:
    """Offsets of dead letters that were redriven, as ranges. Saved whole and atomically."""

    def __init__(self, path: Path) -> None:
        """Reads the file when there is one. Raises ConfigurationError when it is no manifest."""
        self.path = path
        self._done: dict[tuple[str, int], list[tuple[int, int]]] = {}
        #: Ends of the source topics before the last step that was begun: what it wrote lies above them.
        self.ends: dict[tuple[str, int], int] = {}
        if not path.exists():
            return
        try:
            stored = msgspec.json.decode(path.read_bytes(), type=_Stored)
        except UNREADABLE as error:
            raise ConfigurationError(f"{path} is no manifest of a redrive: {error}") from None
        if stored.version != VERSION:
            raise ConfigurationError(f"{path}: version {stored.version} is not {VERSION}")
        for topic, partitions in stored.done.items():
            for number, ranges in partitions.items():
                self._done[topic, int(number)] = ranges
        self.ends = {(t, int(p)): end for t, partitions in stored.ends.items() for p, end in partitions.items()}

    def holds(self, topic: str, partition: int, offset: int) -> bool:
        """Whether this letter was redriven."""
        return any(start <= offset < end for start, end in self._done.get((topic, partition), ()))

    def add(self, topic: str, partition: int, offsets: Iterable[int]) -> None:
        """These letters were redriven. Not on disk before `save`."""
        ranges = self._done.get((topic, partition), []) + [(offset, offset + 1) for offset in offsets]
        merged: list[tuple[int, int]] = []
        for start, end in sorted(ranges):
            if merged and start <= merged[-1][1]:
                merged[-1] = merged[-1][0], max(end, merged[-1][1])
            else:
                merged.append((start, end))
        self._done[topic, partition] = merged

    def save(self) -> None:
        """Raises OSError."""
        done: dict[str, dict[str, list[tuple[int, int]]]] = {}
        for (topic, partition), ranges in sorted(self._done.items()):
            done.setdefault(topic, {})[str(partition)] = ranges
        ends: dict[str, dict[str, int]] = {}
        for (topic, partition), end in sorted(self.ends.items()):
            ends.setdefault(topic, {})[str(partition)] = end
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self.path, msgspec.json.encode(_Stored(VERSION, done, ends)))
