"""Receipts, planned records and invalid-token records: what Pushcast answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from pushcast.model.errors import InvalidInput
from pushcast.model.ids import broadcast_delivery_id, device_row_key
from pushcast.model.words import Outcome, Platform, Reason, Source
from pushcast.wire.schemas import NEWEST_GENERATION, avro_type, released_type, written_type

_RECEIPT = avro_type("receipt")
_PLANNED = avro_type("planned")
_WITHOUT_BROADCASTS = released_type("planned", 2)  # so that a reader of the release before need not wait
_INVALID = avro_type("token_invalid")
PLATFORMS = tuple(str(platform) for platform in Platform)


class Receipt(NamedTuple):
    """The end of one delivery. Times are milliseconds since the epoch."""

    delivery_id: bytes
    notification_id: str
    user: str
    app: str | None
    device: str | None
    platform: str | None
    lane: str
    klass: str
    outcome: str
    reason: str | None
    provider_id: str | None
    provider_status: int | None
    attempts: int
    dry_run: bool
    run: int
    source_partition: int
    source_offset: int
    created_at: int
    ended_at: int
    replay_of: str | None = None
    source: int = Source.NOTIFICATION  # with partition and offset: the account
    due_at: int | None = None  # None: when it was created
    campaign: str | None = None
    variant: str | None = None
    app_version: str | None = None


_PLAIN_RECEIPT: Final = (0, None, None, None, None)  # what the first version of the schema has no columns for


def encode_receipt(receipt: Receipt, generation: int = NEWEST_GENERATION) -> bytes:
    """Framed Avro, flat, for `push.receipt.v1`."""
    datum = receipt._asdict()
    datum["delivery_id"] = receipt.delivery_id.hex()
    datum["class"] = receipt.klass
    plain = receipt[-len(_PLAIN_RECEIPT) :] == _PLAIN_RECEIPT
    return (written_type("receipt", generation) if plain else _RECEIPT).encode(datum)


def decode_receipt(value: bytes) -> dict[str, Any]:
    """The receipt's fields by their names in the schema. Raises InvalidInput."""
    return _RECEIPT.decode(value)


def takes_place(run: int, known: tuple[int, str] | None) -> bool:
    """Whether a receipt of this run counts in place of what is known of its delivery: run and outcome, in whatever
    order their records lie. A later run counts, and within a run an acceptance is never taken back: the push is on its
    way."""
    return known is None or run > known[0] or (run == known[0] and known[1] != Outcome.ACCEPTED)


def is_of_broadcast(
    source: int, delivery_id: str, notification_id: str, user: str, app: str | None, device: str | None
) -> bool:
    """Whether a receipt is of a broadcast: of a walk, or of what the keeper held of one. A notification may have the
    same id, but no such delivery id."""
    if source != Source.DUE:
        return source == Source.WALK
    row_key = device_row_key(user, app or "", device or "")
    return delivery_id == broadcast_delivery_id(notification_id, row_key).hex()


def is_part_of_broadcast(receipt: Mapping[str, Any]) -> bool:
    """The same of a receipt's fields, as `decode_receipt` says them."""
    if receipt["source"] != Source.DUE:
        return bool(receipt["source"] == Source.WALK)
    names = ("source", "delivery_id", "notification_id", "user", "app", "device")
    return is_of_broadcast(*(receipt[name] for name in names))


class PlannedFacts(NamedTuple):
    """What a planned record says of a notification beside its account. Times are milliseconds since the epoch."""

    app: str = ""  # empty: all of the user's apps
    klass: str = ""  # empty: a record of the first version of the schema, which says none of these
    created_at: int = 0
    due_at: int = 0
    expires_at: int = 0
    dry_run: bool = False
    campaign: str = ""  # empty: none
    held: int = 0  # 1: the keeper holds it or a part of it
    broadcast: bool = False  # it is what of the broadcast of its id the keeper held


_FACTS: Final = ("app", "class", *PlannedFacts._fields[2:])  # as the schema names them
_NOT_SAID: Final = PlannedFacts()


@dataclass(slots=True)
class Planned:
    """What became of the notifications of one handled batch, in columns. All come from one source."""

    lane: str
    run: int = 0
    source: int = Source.NOTIFICATION
    source_offset: list[int] = field(default_factory=list)
    notification_id: list[str] = field(default_factory=list)
    platforms: dict[str, list[int]] = field(default_factory=lambda: {name: [] for name in PLATFORMS})
    other: list[int] = field(default_factory=list)
    reason: list[str] = field(default_factory=list)
    facts: list[PlannedFacts] = field(default_factory=list)
    at: int = field(default=0, compare=False)  # when it was written, as read; what is written says it apart

    def add(
        self,
        offset: int,
        notification_id: str,
        counts: Mapping[str, int],
        other: int = 0,
        reason: str = "",
        facts: PlannedFacts = _NOT_SAID,
    ) -> None:
        """One notification. `counts`: deliveries per platform; `other`: receipts that the planner itself wrote."""
        self.source_offset.append(offset)
        self.notification_id.append(notification_id)
        for name, column in self.platforms.items():
            column.append(counts.get(name, 0))
        self.other.append(other)
        self.reason.append(reason)
        self.facts.append(facts)

    def __len__(self) -> int:
        return len(self.source_offset)

    def rows(self) -> Sequence[tuple[int, str, int, str]]:
        """(source offset, notification id, planned terminal receipts, reason) of each notification."""
        totals = map(sum, zip(*self.platforms.values(), self.other, strict=True))
        return list(zip(self.source_offset, self.notification_id, totals, self.reason, strict=True))


def encode_planned(planned: Planned, at_ms: int, generation: int = NEWEST_GENERATION) -> bytes:
    """Framed Avro for `push.planned.v1`. Generation 1 leaves the facts out, unless one of them is `held`."""
    columns = zip(*planned.facts, strict=True) if planned.facts else [[] for _ in _FACTS]
    plain = not planned.source and not any(each.held for each in planned.facts)
    whole = _PLANNED if any(each.broadcast for each in planned.facts) else _WITHOUT_BROADCASTS
    return (written_type("planned", generation) if plain and generation < NEWEST_GENERATION else whole).encode(
        {
            "lane": planned.lane,
            "run": planned.run,
            "source_offset": planned.source_offset,
            "notification_id": planned.notification_id,
            **planned.platforms,
            "other": planned.other,
            "reason": planned.reason,
            "at": at_ms,
            "source": planned.source,
            **{name: list(column) for name, column in zip(_FACTS, columns, strict=True)},
        }
    )


def decode_planned(value: bytes) -> Planned:
    """Of either version. Raises InvalidInput, also for columns of different lengths."""
    datum = _PLANNED.decode(value)
    facts = [datum[name] for name in _FACTS]
    count = len(datum["source_offset"])
    said = any(facts)
    if said and not facts[-1]:
        facts[-1] = [False] * count
    columns = [datum[name] for name in ("notification_id", *PLATFORMS, "other", "reason")] + (facts if said else [])
    if any(len(column) != count for column in columns):
        raise InvalidInput(Reason.INVALID_FIELD, "the columns of a planned record differ in length", "source_offset")
    return Planned(
        datum["lane"],
        datum["run"],
        datum["source"],
        datum["source_offset"],
        datum["notification_id"],
        {name: datum[name] for name in PLATFORMS},
        datum["other"],
        datum["reason"],
        [PlannedFacts(*row) for row in zip(*facts, strict=True)] if said else [_NOT_SAID] * count,
        datum["at"],
    )


class TokenInvalid(NamedTuple):
    """A provider's word that a token is no more. Times are milliseconds since the epoch."""

    user: str
    app: str
    device: str
    platform: str
    token_hash: bytes
    reason: str
    provider_status: int | None
    invalid_since: int | None  # the provider's own time
    sent_at: int
    at: int
    delivery_id: str


def encode_token_invalid(event: TokenInvalid) -> bytes:
    """Framed Avro for `push.token.invalid.v1`."""
    return _INVALID.encode(event._asdict())


def decode_token_invalid(value: bytes) -> TokenInvalid:
    """Raises InvalidInput."""
    return TokenInvalid(**_INVALID.decode(value))
