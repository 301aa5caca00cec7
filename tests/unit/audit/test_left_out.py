"""A stranger's record in a topic of ours: tools leave it out, say where it is, and tell the rest."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from pushcast.audit import broadcasts, cancel_reading
from pushcast.audit.broadcasts import FoundBroadcast, _fold
from pushcast.audit.cancel_report import CancelReport
from pushcast.audit.left_out import LeftOutRecords
from pushcast.audit.progress import Progress
from pushcast.config.settings import Settings
from pushcast.model.words import Lane
from pushcast.wire import topics
from pushcast.wire.answers.legs import ROWS, Leg, encode_leg
from pushcast.wire.events.orders import Order, encode_order
from twins.books import planned, receipt
from twins.handover import Log
from twins.kafka import Produced

SETTINGS = Settings.model_validate({"kafka": {"partitions": 1}})
ORDER = Order("b-0", "log", 0, 1, False, "", json.dumps({"expires_at": 2}).encode())
LEG = encode_leg(Leg("bulk", 7, "b-0", 0, "", "", 1, 1, apns=1, last=True))
WALK = topics.walk(Lane.BULK)
BODY = b"b-0 xmas and no record"


class World(Log):
    """A Kafka that the tool's readers find."""

    def put(self, topic: str, value: bytes, *headers: tuple[str, bytes | None]) -> None:
        self.log.append(Produced(topic, 0, value, None, list(headers), 0))


@pytest.mark.parametrize(
    ("topic", "value", "headers"),
    [
        *((topic, BODY, ()) for topic in (topics.WALKED, topics.PLANNED, topics.RECEIPT, WALK)),
        (topics.WALKED, LEG, ((ROWS, b"many"),)),
        (WALK, encode_order(ORDER._replace(event=b"no JSON")), ()),
    ],
)
def test_progress_of_a_broadcast_is_told_without_what_cannot_be_read(
    topic: str, value: bytes, headers: tuple[tuple[str, bytes | None], ...], caplog: pytest.LogCaptureFixture
) -> None:
    world, left_out = World(0), LeftOutRecords()
    found, progress = FoundBroadcast(Lane.BULK, ORDER), Progress("b-0", "bulk", 1, steps=1, via="")
    world.put(topic, value, *headers)
    world.put(topics.WALKED, LEG)
    for name in (topic, topics.WALKED)[: 1 if topic == topics.WALKED else 2]:
        for message in world.messages(name):
            _fold(found, progress, cast(Any, message), left_out)
    assert left_out.counts == {topic: 1}
    assert f"{topic}[0]@0 cannot be read and is left out" in caplog.text


def test_what_a_campaigns_cancel_has_come_to_is_told_without_what_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(0)
    for topic in (topics.PLANNED, topics.RECEIPT):
        world.put(topic, BODY)
        world.put(topic, BODY + b"again")
    world.put(topics.PLANNED, planned((1, "n", {"apns": 1}, "")))
    world.put(topics.RECEIPT, receipt("n", "u", "d", campaign="xmas"))
    monkeypatch.setattr(cancel_reading, "SpanReader", lambda *_: world)
    told = cancel_reading.of_campaign(SETTINGS, "xmas")
    assert told.to_dict() != CancelReport().to_dict()


def test_orders_of_broadcasts_are_listed_without_what_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(0)
    for value in (BODY, encode_order(ORDER._replace(event=b"no JSON")), encode_order(ORDER)):
        world.put(WALK, value)
    monkeypatch.setattr(broadcasts.BroadcastBooks, "_between", lambda *_: iter(world.messages(WALK)))
    with broadcasts.BroadcastBooks(SETTINGS) as books:
        monkeypatch.setattr(books, "_positions", cast(Any, Ends()))
        assert [each.order for each in books.spread([Lane.BULK])] == [ORDER]


class Ends:
    """Of topics; nobody looks at them here."""

    def starts(self, spots: Any) -> dict[Any, int]:
        return {}

    ends = starts
