"""Who had an earlier broadcast."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pushcast.model.broadcast import NotTo
from pushcast.model.ids import broadcast_delivery_id
from pushcast.model.words import Lane, Source
from pushcast.walk.legs import OpenLeg
from pushcast.walk.narrowing import each_token_once, not_served
from pushcast.walk.served import Deliveries, served_by
from pushcast.wire import headers as h
from pushcast.wire import topics
from pushcast.wire.answers.receipts import Receipt, encode_receipt
from pushcast.wire.newer import NewerSchema
from pushcast.wire.schemas import SINGLE_OBJECT_MARKER
from twins.handover import Log
from twins.kafka import Produced
from unit.walk.twin import course, row, taken

PARTITION = 3
SEND = topics.send("apns", Lane.BULK)  # type: ignore[arg-type]
DEFAULT = frozenset({"accepted", "unfinished"})


def batches(*users: str, broadcast: str = "b-0") -> list[bytes]:
    return [full.value for full in taken(course(id=broadcast), *map(row, users))[1]]


def delivery(user: str) -> bytes:
    return broadcast_delivery_id("b-0", row(user)[0])


def receipt(user: str, outcome: str = "accepted", *, run: int = 0, **changes: Any) -> bytes:
    made: dict[str, Any] = {
        **dict.fromkeys(Receipt._fields),
        "delivery_id": delivery(user),
        "notification_id": "b-0",
        "user": user,
        "lane": "bulk",
        "klass": "default",
        "outcome": outcome,
        "attempts": 1,
        "dry_run": False,
        "run": run,
        "source_partition": 0,
        "source_offset": 7,
        "created_at": 1,
        "ended_at": 2,
        "source": Source.WALK,
        **changes,
    }
    return encode_receipt(Receipt(**made))


def standing(outcomes: frozenset[str], *receipts: bytes) -> set[bytes]:
    found = Deliveries("bulk", "b-0")
    for value in (*batches("u-1", "u-2", "u-3"), *batches("u-4", broadcast="b-9")):
        found.batch(value)
    for value in receipts:
        found.receipt(value)
    return set(found.that_stand(outcomes))


def test_who_has_it_and_who_may_still_get_it_is_left_out() -> None:
    assert standing(DEFAULT, receipt("u-1"), receipt("u-2", "dead")) == {delivery("u-1"), delivery("u-3")}


def test_outcomes_say_otherwise() -> None:
    ended = receipt("u-1"), receipt("u-2", "dead")
    assert standing(frozenset({"accepted"}), *ended) == {delivery("u-1")}
    assert standing(frozenset({"dead", "expired"}), *ended) == {delivery("u-2")}


def test_of_a_delivery_the_last_run_counts() -> None:
    redriven = receipt("u-2", "accepted", run=1), receipt("u-2", "dead")
    assert standing(frozenset({"accepted"}), *redriven) == {delivery("u-2")}


def test_whoever_has_it_is_left_out_although_a_later_receipt_of_the_run_says_otherwise() -> None:
    """A sender that was stopped wakes up behind its successor: the push was on its way, and would come twice."""
    late = receipt("u-1"), receipt("u-1", "dead"), receipt("u-2", "dead"), receipt("u-2")
    assert standing(frozenset({"accepted"}), *late) == {delivery("u-1"), delivery("u-2")}


def test_receipts_of_a_notification_or_another_lane_are_others() -> None:
    others = receipt("u-1", source=Source.NOTIFICATION), receipt("u-1", lane="urgent")
    assert standing(frozenset({"accepted"}), *others) == set()


async def test_what_was_voided_is_not_read() -> None:
    log = Log(PARTITION)
    old, new = h.origin("walk-bulk", PARTITION, 1), h.origin("walk-bulk", PARTITION, 2)
    for value, headers in ((None, [*new, (h.FENCE, b"1")]), (batches("u-1")[0], old), (batches("u-2")[0], new)):
        log.log.append(Produced(SEND, PARTITION, value, None, headers, 0))
    log.log.append(Produced(topics.RECEIPT, PARTITION, receipt("u-3"), None, [], 0))
    ask = served_by(log, Lane.BULK, Counter())  # type: ignore[arg-type]
    assert await ask(PARTITION, NotTo("b-0", DEFAULT, 0)) == {delivery("u-2"), delivery("u-3")}


async def test_a_strangers_record_that_names_a_stage_without_an_epoch_is_passed_by() -> None:
    log = Log(PARTITION)
    for value, headers in ((batches("u-1")[0], [(h.ORIGIN, b"walk-bulk/3")]), (batches("u-2")[0], [])):
        log.log.append(Produced(SEND, PARTITION, value, None, headers, 0))
    ask = served_by(log, Lane.BULK, Counter())  # type: ignore[arg-type]
    assert await ask(PARTITION, NotTo("b-0", DEFAULT, 0)) == {delivery("u-2")}


#: What names the broadcast and is no record of ours.
STRANGE = [
    b"b-0",
    b'{"notification_id": "b-0"}',
    b"\0\0\0\0\7b-0",
    batches("u-1")[0][:-3],
    receipt("u-1").replace(delivery("u-1").hex().encode(), b"x" * 32),  # no hexadecimal digits
]


@pytest.mark.parametrize("topic", [SEND, topics.RECEIPT, topics.keep(Lane.BULK)])
@pytest.mark.parametrize("strange", STRANGE, ids=range(len(STRANGE)))
async def test_a_strangers_record_that_names_the_broadcast_does_not_end_the_walker(topic: str, strange: bytes) -> None:
    """It ended the planner's process, and every one that took the partition over after it."""
    log, counters = Log(PARTITION), Counter[str]()
    log.log.append(Produced(topic, PARTITION, strange, None, [], 0))
    log.log.append(Produced(SEND, PARTITION, batches("u-2")[0], None, [], 0))
    ask = served_by(log, Lane.BULK, counters)  # type: ignore[arg-type]
    assert await ask(PARTITION, NotTo("b-0", DEFAULT, 0)) == {delivery("u-2")}
    is_plain_there = topic == topics.keep(Lane.BULK) or (topic == SEND and strange == STRANGE[-1])
    assert counters["unreadable"] == 1 or is_plain_there


async def test_a_batch_of_a_later_release_is_waited_for() -> None:
    log = Log(PARTITION)
    log.log.append(Produced(SEND, PARTITION, SINGLE_OBJECT_MARKER + b"tomorrow" + b"b-0", None, [], 0))
    ask = served_by(log, Lane.BULK, Counter())  # type: ignore[arg-type]
    with pytest.raises(NewerSchema):
        await ask(PARTITION, NotTo("b-0", DEFAULT, 0))


def test_nobody_left_out_is_no_reason() -> None:
    """`pushcast whatif` said `5 sent, 0 same_token` of each broadcast."""
    leg = cast(OpenLeg, SimpleNamespace(left=Counter()))
    assert each_token_once(leg, []) == not_served(leg, [], "b-0", frozenset()) == []
    assert dict(leg.left) == {}
