"""What WALK tells the hand-over of its outputs, and what it reads back of them at a take-over."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from pushcast.config.settings import Settings
from pushcast.handover.reading import SpanReader
from pushcast.handover.runner import Handover, Items
from pushcast.model.clock import Clock
from pushcast.model.words import Lane, Platform, Source
from pushcast.walk.legs import LegMark, PlannedDelivery
from pushcast.walk.walking import Walking, WrittenDelivery, WrittenKept
from pushcast.wire import topics
from pushcast.wire.answers.legs import Leg, decode_leg
from pushcast.wire.avro_bytes import bytes_of
from pushcast.wire.headers import Headers
from pushcast.wire.sending.batches import decode_batch
from pushcast.wire.waiting.held_broadcasts import decode_held, is_held_broadcast

if TYPE_CHECKING:
    from pushcast.stream.ports import PositionedOutbox

_PLATFORMS: Final = {topics.send(platform, lane): str(platform) for platform in Platform for lane in Lane}
_ITEM = msgspec.msgpack.Decoder(tuple[bytes, bytes, bytes, str]).decode


def origin_of(lane: Lane) -> str:
    """What the walk of a lane is called in the origin of its outputs."""
    return f"walk-{lane}"


def build_handover(settings: Settings, lane: Lane, outbox: PositionedOutbox, clock: Clock) -> Handover:
    """For the walks of one lane; connects to nothing before partitions are assigned. Its states are `Walking`."""
    outputs: dict[str, Items] = {topics.send(platform, lane): deliveries for platform in Platform}
    outputs[topics.keep(lane)] = kept
    outputs[topics.WALKED] = partial(legs, lane)
    return Handover(
        origin_of(lane),
        outputs,
        topics.WALKED,
        outbox=outbox,
        reader=SpanReader(settings.kafka.bootstrap_servers, settings.kafka.security),
        clock=clock,
        make=partial(Walking, read_item=read_item, read_mark=read_mark),
    )


def deliveries(_: Headers, value: bytes) -> Iterable[tuple[int, bytes]]:
    """Items of a send topic: user, delivery, the hash of the token that it goes to, and the variant."""
    for message in decode_batch(value).messages:
        targets, variant = message.targets, message.notes.label(0).variant or ""  # a walk's message is one notification
        rows = zip(targets.source_offset, targets.user, targets.delivery_id, targets.token_hash, strict=True)
        for offset, user, delivery_id, token_hash in rows:
            yield offset, msgspec.msgpack.encode((user.encode(), delivery_id, bytes_of(token_hash), variant))


def legs(lane: Lane, _: Headers, value: bytes) -> Iterable[tuple[int, bytes]]:
    """Items of the log of legs: the records themselves."""
    leg = decode_leg(value)
    return ((leg.source_offset, value),) if leg.lane == lane and leg.source == Source.WALK else ()


def kept(_: Headers, value: bytes) -> Iterable[tuple[int, bytes]]:
    """Items of a keep topic: the records themselves."""
    return ((decode_held(value).walk_offset, value),) if is_held_broadcast(value) else ()


def read_item(topic: str, item: bytes) -> WrittenDelivery | WrittenKept:
    """What `deliveries` wrote, or `kept`."""
    if topic not in _PLATFORMS:
        waits = decode_held(item)
        tokens = waits.tokens.items()
        planned = {delivery: PlannedDelivery("", bytes_of(token), waits.variant) for delivery, token in tokens}
        return WrittenKept(waits.user.encode(), planned)
    user, delivery_id, token_hash, variant = _ITEM(item)
    return WrittenDelivery(user, delivery_id, PlannedDelivery(_PLATFORMS[topic], token_hash, variant))


def read_mark(item: bytes) -> LegMark:
    """What `legs` wrote."""
    leg: Leg = decode_leg(item)
    rows = leg.rows_before + leg.scanned
    return LegMark(leg.leg, leg.to_user.encode(), rows, leg.last, item)
