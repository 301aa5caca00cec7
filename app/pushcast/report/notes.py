"""What is known of one notification or broadcast in one partition: sums that can be added across partitions. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from typing import Final, Literal

import msgspec

from pushcast.model.words import Outcome

Kind = Literal["notification", "broadcast"]
KINDS: Final[tuple[Kind, ...]] = ("notification", "broadcast")
#: Within how many seconds of its creation a delivery counts as accepted in time; counted exactly for each.
WITHIN_SECONDS: Final = (10, 60, 120)
HASH_BYTES: Final = 16
NO_SHARES: Final = [0] * len(WITHIN_SECONDS)
_SEPARATOR: Final = "\0"
RECEIVED: Final = "received"
OPENED: Final = "opened"


class _PlannedFields(msgspec.Struct, array_like=True, gc=False):
    """What planned records and legs say. A dictionary holds no zeros. Times are milliseconds, 0 where none is known."""

    id: str
    kind: Kind
    app: str = ""
    klass: str = ""
    campaign: str = ""
    dry_run: bool = False
    created_at: int = 0
    expires_at: int = 0
    first_planned_at: int = 0
    planned: dict[str, int] = {}  # by platform
    other: int = 0  # receipts that the planner itself wrote
    held: int = 0
    not_planned: dict[str, int] = {}  # by reason
    # from legs
    matched: int = 0
    held_out: int = 0


class PlannedSums(_PlannedFields, array_like=True, gc=False):
    """As they are stored. Fields are added at the end, where releases before look for none."""

    planned_variants: dict[str, int] = {}  # of a split


class EndedSums(msgspec.Struct, array_like=True, gc=False):
    """What receipts say, and what apps told of their deliveries."""

    id: str
    kind: Kind
    ended: dict[str, int] = {}  # by `ended_key`
    latency: dict[str, int] = {}  # of accepted ones, by number of the bucket
    within: list[int] = msgspec.field(default_factory=NO_SHARES.copy)
    last_ended_at: int = 0
    copies: int = 0
    # of deliveries of which an app told something
    received: int = 0
    received_within: list[int] = msgspec.field(default_factory=NO_SHARES.copy)
    opened: int = 0
    variants: dict[str, int] = {}  # of a split: by `variant_key`


class Note(_PlannedFields, array_like=True, gc=False):
    """Both together, as reporters answer. They lie apart, so that the order between topics makes no difference.

    A struct has one base: what follows are the fields of EndedSums, and then those of PlannedSums that came later. A
    test compares them.
    """

    ended: dict[str, int] = {}
    latency: dict[str, int] = {}
    within: list[int] = msgspec.field(default_factory=NO_SHARES.copy)
    last_ended_at: int = 0
    copies: int = 0
    received: int = 0
    received_within: list[int] = msgspec.field(default_factory=NO_SHARES.copy)
    opened: int = 0
    variants: dict[str, int] = {}
    planned_variants: dict[str, int] = {}

    @property
    def ended_count(self) -> int:
        """Distinct deliveries that have ended."""
        return sum(self.ended.values())

    @property
    def planned_count(self) -> int:
        """Deliveries planned. What has ended was planned, also when its planned record is yet to be read."""
        return max(sum(self.planned.values()) + self.other, self.ended_count)


_ENCODER: Final = msgspec.msgpack.Encoder(order="deterministic")
_DECODER: Final = msgspec.msgpack.Decoder(Note)
_PLANNED: Final = msgspec.msgpack.Decoder(PlannedSums)
_ENDED: Final = msgspec.msgpack.Decoder(EndedSums)


def encode(sums: PlannedSums | EndedSums | Note) -> bytes:
    """Equal sums give equal bytes."""
    return _ENCODER.encode(sums)


def decode(value: bytes) -> Note:
    """Of `encode`."""
    return _DECODER.decode(value)


def planned_of(value: bytes) -> PlannedSums:
    """Of `encode`."""
    return _PLANNED.decode(value)


def ended_of(value: bytes) -> EndedSums:
    """Of `encode`."""
    return _ENDED.decode(value)


def joined(planned: bytes | None, ended: bytes | None) -> Note | None:
    """A note of its two rows; None where there is neither."""
    if planned is None and ended is None:
        return None
    parts = [planned_of(planned)] if planned is not None else []
    ends = [ended_of(ended)] if ended is not None else []
    whose: PlannedSums | EndedSums = (parts or ends)[0]
    note = Note(whose.id, whose.kind)
    for part in (*parts, *ends):
        for name in part.__struct_fields__[2:]:
            setattr(note, name, getattr(part, name))
    return note


def kind_of(name: str) -> Kind:
    """Of a row."""
    return "broadcast" if name == "broadcast" else "notification"


#: By kind: of what stands before the id. A copy takes a third of the time of a hash that begins anew.
_HASHES: Final = {kind: blake2b(f"{kind}{_SEPARATOR}".encode(), digest_size=HASH_BYTES) for kind in KINDS}


def note_hash(kind: Kind, note_id: str) -> bytes:
    """16 bytes that stand for it in keys."""
    found = _HASHES[kind].copy()
    found.update(note_id.encode())
    return found.digest()


@lru_cache(maxsize=4096)
def ended_key(platform: str | None, outcome: str, reason: str | None) -> str:
    """One counter of `ended`."""
    return _SEPARATOR.join((platform or "", outcome, reason or ""))


def variant_key(variant: str, what: str) -> str:
    """One counter of `variants`: an outcome, RECEIVED or OPENED."""
    return f"{variant}{_SEPARATOR}{what}"


def split_variant(key: str) -> tuple[str, str]:
    """(variant, what)."""
    variant, what = key.rsplit(_SEPARATOR, 1)
    return variant, what


def split_ended(key: str) -> tuple[str, str, str]:
    """(platform or empty, outcome, reason or empty)."""
    platform, outcome, reason = key.split(_SEPARATOR, 2)
    return platform, outcome, reason


def add(counts: dict[str, int], key: str, amount: int) -> None:
    """Adds to a counter; one that comes to zero is forgotten."""
    total = counts.get(key, 0) + amount
    if total:
        counts[key] = total
    else:
        counts.pop(key, None)


def merged(notes: Iterable[Note]) -> Note | None:
    """The sum over partitions; None for none. All are of one notification or broadcast."""
    whole: Note | None = None
    for note in notes:
        if whole is None:
            whole = decode(encode(note))
        else:
            _add_to(whole, note)
    return whole


def _add_to(whole: Note, note: Note) -> None:
    if note.created_at and (not whole.created_at or note.created_at < whole.created_at):
        for name in ("app", "klass", "campaign", "dry_run", "created_at"):
            setattr(whole, name, getattr(note, name))
    whole.first_planned_at = min(filter(None, (whole.first_planned_at, note.first_planned_at)), default=0)
    whole.expires_at = max(whole.expires_at, note.expires_at)
    whole.last_ended_at = max(whole.last_ended_at, note.last_ended_at)
    for name in ("planned", "not_planned", "ended", "latency", "variants", "planned_variants"):
        counts = getattr(whole, name)
        for key, count in getattr(note, name).items():
            add(counts, key, count)
    for name in ("other", "held", "matched", "held_out", "copies", "received", "opened"):
        setattr(whole, name, getattr(whole, name) + getattr(note, name))
    for name in ("within", "received_within"):
        setattr(whole, name, [a + b for a, b in zip(getattr(whole, name), getattr(note, name), strict=True)])


def outcomes(note: Note) -> dict[str, int]:
    """Deliveries by outcome, every outcome of the contract."""
    found = {str(outcome): 0 for outcome in Outcome}
    for key, count in note.ended.items():
        found[split_ended(key)[1]] = found.get(split_ended(key)[1], 0) + count
    return found
