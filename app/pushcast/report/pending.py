"""Rows over those that are stored, while a batch of records is applied. Pure: a port answers what is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

from pushcast.report import notes, rows
from pushcast.report.minutes import MinuteChanges
from pushcast.report.modes import EVERYTHING, Modes
from pushcast.report.notes import KINDS, EndedSums, Kind, PlannedSums, note_hash
from pushcast.report.rows import Block
from pushcast.report.slo import Seen
from pushcast.report.tallies import EndedTally, PlannedTally
from pushcast.report.unmatched import Unmatched
from pushcast.wire import topics

S = TypeVar("S", bound=PlannedSums | EndedSums)


class StoredRows(Protocol):
    """The rows of a partition."""

    def get(self, key: bytes, /) -> bytes | None:
        """One row."""
        ...

    def get_many(self, keys: Sequence[bytes]) -> Sequence[bytes | None]:
        """Rows of these keys, in their order: one question for all of them."""
        ...

    def scan(self, start: bytes, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Rows from `start` on, in the order of their keys, while those begin with `prefix`."""
        ...


class PendingRows:
    """Reads see what was written before. A note, a minute and a block of planned rows are encoded once for all."""

    def __init__(self, stored: StoredRows, modes: Modes = EVERYTHING) -> None:
        self.modes = modes
        self.stored = stored
        self.passed: dict[str, int] = {}  # next offset of each intake, by lane and source
        # Whoever has no apps that tell anything, and forgets nobody, pays no look-ups for it.
        self.engaged = stored.get(rows.meta_key(topics.ENGAGEMENT)) is not None
        self.forgets = next(stored.scan(rows.FORGOTTEN, rows.FORGOTTEN), None) is not None
        self.rows: dict[bytes, bytes | None] = {}  # written; None is deleted
        self.unmatched: list[Unmatched] = []
        self.ended_tally = EndedTally()
        self.planned_tally = PlannedTally()
        self._fetched: dict[bytes, bytes | None] = {}
        self._blocks: dict[bytes, Block] = {}
        self._names: dict[Kind, dict[str, bytes]] = {kind: {} for kind in KINDS}
        self.planned = _Sums(self, rows.note_key, PlannedSums, notes.planned_of)
        self.ended = _Sums(self, rows.ended_key, EndedSums, notes.ended_of)
        self._published: set[bytes] = set()

    def fetch(self, keys: Iterable[bytes]) -> None:
        """Asks for all of these rows at once; what was written here stays."""
        fetched = self._fetched
        wanted = [key for key in dict.fromkeys(keys) if key not in fetched]
        if wanted:
            fetched.update(zip(wanted, self.stored.get_many(wanted), strict=True))

    def get(self, key: bytes) -> bytes | None:
        """A row as it is now."""
        if key in self.rows:
            return self.rows[key]
        return self._fetched[key] if key in self._fetched else self.stored.get(key)

    def put(self, key: bytes, value: bytes | None) -> None:
        """`value` None deletes."""
        self.rows[key] = value

    def under(self, prefix: bytes) -> list[tuple[bytes, bytes]]:
        """Rows with this prefix, as they are now."""
        found: dict[bytes, bytes | None] = dict(self.stored.scan(prefix, prefix))
        found.update((key, value) for key, value in self.rows.items() if key.startswith(prefix))
        return [(key, value) for key, value in sorted(found.items()) if value is not None]

    def block(self, key: bytes) -> Block:
        """Planned rows of neighbouring offsets, to be changed in place."""
        found = self._blocks.get(key)
        if found is None:
            found = self._blocks[key] = rows.block_of(self.get(key))
        return found

    def name(self, kind: Kind, note_id: str) -> bytes:
        """What stands for a note in keys."""
        return self.names(kind, (note_id,))[note_id]

    def names(self, kind: Kind, note_ids: Iterable[str]) -> Mapping[str, bytes]:
        """What stands for these notes in keys, by id; it may hold others, too."""
        found = self._names[kind]
        for note_id in note_ids:
            if note_id not in found:
                found[note_id] = note_hash(kind, note_id)
        return found

    def publish(self, kind: Kind, note_id: str, klass: str | None = None) -> None:
        """Its sums have changed: they are for other programs, too, where the class says so. None: as it was planned."""
        if klass is None:
            stored = self.get(rows.note_key(self.name(kind, note_id)))
            klass = "" if stored is None else notes.planned_of(stored).klass
        if self.modes.publishes(kind, klass):
            self._published.add(self.name(kind, note_id))

    def all(self, seen: Seen) -> dict[bytes, bytes | None]:
        """Everything to be written. `seen` gets what is said about the service level."""
        found = self.rows
        for key, block in self._blocks.items():
            found[key] = rows.encode_block(block)
        found.update(self.planned.written())
        found.update(self.ended.written())
        for name in self._published:
            found[rows.CHANGED + name] = b""
        minutes = MinuteChanges()
        self.planned_tally.tell(minutes, seen)
        self.ended_tally.tell(minutes, seen)
        found.update(minutes.over(self.get))
        return found


class _Sums(Generic[S]):
    """Sums of one kind, by note, that were asked for: to be changed in place, and encoded once for all."""

    def __init__(
        self,
        changes: PendingRows,
        key_of: Callable[[bytes], bytes],
        make: Callable[[str, Kind], S],
        decode: Callable[[bytes], S],
    ) -> None:
        """`key_of`: where they lie, by the name of a note."""
        self._changes = changes
        self._key_of = key_of
        self._make = make
        self._decode = decode
        self._found: dict[bytes, S] = {}  # by name

    def all(self, kind: Kind, note_ids: Iterable[str]) -> dict[str, S]:
        """Of these notes, by id: one question for all of them."""
        note_ids = set(note_ids)
        names, found = self._changes.names(kind, note_ids), self._found
        new = [(note_id, name) for note_id in note_ids if (name := names[note_id]) not in found]
        keys = [self._key_of(name) for _, name in new]
        self._changes.fetch(keys)
        for (note_id, name), key in zip(new, keys, strict=True):
            found[name] = self._made(kind, note_id, self._changes.get(key))
        return {note_id: found[names[note_id]] for note_id in note_ids}

    def one(self, kind: Kind, note_id: str) -> S:
        """Of one note."""
        return self._of(kind, note_id, self._changes.name(kind, note_id))

    def known(self, kind: Kind, note_id: str) -> S | None:
        """None: nothing is kept of it."""
        name = self._changes.name(kind, note_id)
        kept = name in self._found or self._changes.get(self._key_of(name)) is not None
        return self._of(kind, note_id, name) if kept else None

    def written(self) -> Iterator[tuple[bytes, bytes]]:
        """Rows as they are now."""
        for name, sums in self._found.items():
            yield self._key_of(name), notes.encode(sums)

    def _of(self, kind: Kind, note_id: str, name: bytes) -> S:
        found = self._found.get(name)
        if found is None:
            found = self._found[name] = self._made(kind, note_id, self._changes.get(self._key_of(name)))
        return found

    def _made(self, kind: Kind, note_id: str, stored: bytes | None) -> S:
        return self._make(note_id, kind) if stored is None else self._decode(stored)
