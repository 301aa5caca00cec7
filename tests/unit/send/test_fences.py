"""SEND sends what counts: nothing of a planner that was fenced off."""

from __future__ import annotations

from collections.abc import Mapping

from pushcast.handover.exact import Inexact
from pushcast.handover.looking_back import CopiesOf
from pushcast.handover.standing import decode
from pushcast.model.words import Lane, Platform
from pushcast.stream.batch import TP, Committed
from pushcast.stream.tracker import Record
from pushcast.wire import headers as h
from pushcast.wire.sending.batches import encode_batch
from unit.send.twin import TOPIC, Harness, TwinProvider, message, record, send_batch

HERE = TP(TOPIC, 3)


def planned(offset: int, epoch: int, user: int) -> Record:
    value = encode_batch(send_batch(message(1, first_user=user)))
    return record(TOPIC, 3, offset, value, headers=h.origin("plan-urgent", 3, epoch))


def fence(offset: int, epoch: int) -> Record:
    return record(TOPIC, 3, offset, None, headers=[*h.origin("plan-urgent", 3, epoch), (h.FENCE, b"1")])


async def handled(harness: Harness, *records: Record) -> None:
    await harness.stage.handle(harness.batch(records))
    await harness.settle()


async def test_a_fence_is_done_and_no_dead_letter() -> None:
    harness = Harness(TwinProvider(accept=True))
    await handled(harness, fence(100, 2))
    assert harness.committable() == 101
    assert harness.outbox.log == []


async def test_what_a_planner_wrote_behind_the_fence_is_not_sent_and_counted() -> None:
    provider = TwinProvider(accept=True)
    harness = Harness(provider)
    await handled(harness, planned(100, 1, 0), fence(101, 2), planned(102, 1, 1), planned(103, 2, 2))
    assert provider.seen == ["u0", "u2"]
    assert harness.committable() == 104
    assert harness.figures.void[Platform.APNS, Lane.URGENT] == 1


async def test_the_next_owner_knows_the_fences_below_its_offset() -> None:
    first = Harness(TwinProvider(accept=True))
    await handled(first, planned(100, 1, 0), fence(101, 2), planned(102, 2, 1), fence(103, 3))
    metadata = first.stage.commit_metadata(HERE, 102)
    assert decode(metadata).origins == {"plan-urgent/3": 2}
    provider = TwinProvider(accept=True)
    second = Harness(provider)
    await second.stage.assigned({HERE: Committed(102, metadata)})
    await handled(second, planned(102, 2, 1), planned(103, 1, 2))
    assert provider.seen == ["u1"]


async def test_what_kafkas_client_wrote_twice_is_sent_once_and_counted() -> None:
    provider = TwinProvider(accept=True)
    harness = Harness(provider)
    await handled(harness, planned(100, 1, 0), planned(101, 1, 0), planned(102, 1, 1), planned(103, 1, 0))
    assert provider.seen == ["u0", "u1"]
    assert harness.committable() == 104
    assert harness.figures.edge[Lane.URGENT, "copies", ""] == 2


async def test_what_a_predecessor_had_and_kafkas_client_wrote_twice_is_not_sent_by_the_next_owner() -> None:
    class Looks(Inexact):
        async def look_back(self, committed: Mapping[TP, Committed], copies_of: CopiesOf) -> None:
            for tp in committed:
                copies_of(tp).is_copy(planned(99, 1, 0).headers, planned(99, 1, 0).value, 99)

    provider = TwinProvider(accept=True)
    harness = Harness(provider, exact=Looks())
    await harness.stage.assigned({HERE: Committed(100, "")})
    await handled(harness, planned(100, 1, 0), planned(101, 1, 1))
    assert provider.seen == ["u1"]


async def test_an_origin_without_an_epoch_is_a_dead_letter() -> None:
    harness = Harness(TwinProvider(accept=True))
    value = encode_batch(send_batch(message(1)))
    await handled(harness, record(TOPIC, 3, 100, value, headers=[(h.ORIGIN, b"plan-urgent/3")]))
    assert [entry.topic for entry in harness.outbox.log] == [f"{TOPIC}.dlq"]
    assert harness.committable() == 101
