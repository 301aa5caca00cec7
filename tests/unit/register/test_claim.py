"""The hand-over of a partition of REGISTER: claim, fence, and a log that heals."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from pushcast.handover import standing
from pushcast.handover.claims import ClaimRefused
from pushcast.handover.standing import Standing, UnreadableMetadata
from pushcast.model.ids import partition_of
from pushcast.register.context import STEP
from pushcast.register.writing import HEALED
from pushcast.stream.batch import TP, Committed
from pushcast.stream.retrying import RETRIED
from pushcast.wire.devices.devices import decode_row
from pushcast.wire.devices.row_fences import OLD_KEY, records
from pushcast.wire.headers import EPOCH, FENCE, first, origin
from pushcast.wire.topics import DEVICE, DEVICE_CHANGED, TOKEN_HOLD, TOKEN_INVALID
from twins.kafka import settled
from unit.register.twin import PARTITIONS, T0, Harness, TwinKafka, record

USER = b"user-1"
HOME = partition_of(USER, PARTITIONS)
KEY = b"user-1\0news\0d-1"
SECONDS = T0 // 1000


def register(token: str, at: int = T0 - 1000, device: str = "d-1") -> bytes:
    event = {"op": "register", "app": "news", "device": device, "platform": "apns", "token": token, "at": at}
    return orjson.dumps(event)


def epochs(harness: Harness) -> list[int]:
    """Of what was written, without the fences for the release before."""
    log = harness.kafka.log[DEVICE, HOME]
    return [int(first(each.headers, EPOCH) or b"") for each in log if each.key != OLD_KEY]


async def zombie_and_heir() -> tuple[Harness, Harness]:
    """Two processes on one log: the first has written `aa` and holds `bb` back; the second has taken over."""
    zombie = Harness(TwinKafka(acks=False))
    await zombie.take_over(HOME)
    await zombie.change((USER, register("aa" * 32)))
    zombie.kafka.acknowledge()
    zombie.kafka.tail(HOME)
    await zombie.change((USER, register("bb" * 32, T0 - 500)))
    heir = Harness(TwinKafka(log=zombie.kafka.log))
    await heir.take_over(HOME, standing.encode(Standing(SECONDS)))
    return zombie, heir


def token(harness: Harness) -> bytes | None:
    """Of the log once compacted, as a copy has it that knows no fences."""
    value = harness.kafka.compacted(HOME).get(KEY)
    return None if value is None else decode_row(value).address


async def test_a_claim_is_committed_for_every_source_before_its_fence_is_written() -> None:
    harness = Harness()
    sources = {TP(topic, HOME) for topic in (DEVICE_CHANGED, TOKEN_INVALID, TOKEN_HOLD)}
    await harness.take_over(HOME)
    assert harness.work.claims == [sources]
    fences = harness.kafka.log[DEVICE, HOME]
    assert {fence.key: fence.value for fence in fences} == records(f"register/{HOME}", SECONDS)
    assert [first(fence.headers, FENCE) for fence in fences] == [b"1", b"1"]
    for tp in sources:
        assert standing.decode(harness.stage.commit_metadata(tp, 0)).epoch == SECONDS


async def test_a_refused_claim_writes_nothing_and_is_tried_again() -> None:
    harness = Harness()
    harness.work.refuses = True
    with pytest.raises(ClaimRefused) as refused:
        await harness.stage.assigned({TP(DEVICE_CHANGED, HOME): Committed(0, "")})
    assert isinstance(refused.value, RETRIED)
    assert not harness.kafka.log
    harness.work.refuses = False
    await harness.take_over(HOME)
    assert epochs(harness) == [SECONDS + 1]


async def test_an_epoch_is_above_the_committed_one_and_above_the_fence_in_the_log() -> None:
    harness = Harness()
    await harness.take_over(HOME, standing.encode(Standing(SECONDS + 70)))
    assert epochs(harness) == [SECONDS + 71]
    heir = Harness(TwinKafka(log=harness.kafka.log))
    heir.kafka.tail(HOME)
    await heir.take_over(HOME)  # its metadata is lost
    assert epochs(heir) == [SECONDS + 71, SECONDS + 72]


async def test_metadata_of_another_program_ends_the_process() -> None:
    with pytest.raises(UnreadableMetadata):
        await Harness().stage.assigned({TP(DEVICE_CHANGED, HOME): Committed(0, "theirs")})


async def test_nothing_is_handled_before_the_table_has_applied_the_fence() -> None:
    harness = Harness()
    assigned = asyncio.ensure_future(harness.stage.assigned({TP(DEVICE_CHANGED, HOME): Committed(0, "")}))
    await settled()
    assert not assigned.done()
    harness.kafka.tail(HOME)
    await assigned


async def test_a_fence_of_somebody_newer_refuses_the_claim() -> None:
    harness = Harness()
    assigned = asyncio.ensure_future(harness.stage.assigned({TP(DEVICE_CHANGED, HOME): Committed(0, "")}))
    await settled()
    newer = Harness(TwinKafka(log=harness.kafka.log))
    await newer.take_over(HOME, standing.encode(Standing(SECONDS)))
    harness.kafka.tail(HOME)
    with pytest.raises(ClaimRefused):
        await assigned


async def test_rows_carry_the_epoch_of_the_claim_and_a_later_claim_has_its_own() -> None:
    harness = Harness()
    await harness.take_over(HOME)
    await harness.change((USER, register("aa" * 32)))
    await harness.take_over(HOME)
    await harness.change((USER, register("bb" * 32, T0 - 500)))
    assert epochs(harness) == [SECONDS, SECONDS, SECONDS + 1, SECONDS + 1]


async def test_what_a_zombie_still_writes_is_overwritten_with_what_is_known() -> None:
    zombie, heir = await zombie_and_heir()
    zombie.kafka.acknowledge()
    assert token(heir) == b"bb" * 32
    heir.kafka.tail(HOME)
    await settled()
    assert token(heir) == b"aa" * 32
    healing = heir.kafka.log[DEVICE, HOME][-1]
    assert first(healing.headers, STEP) == HEALED
    assert (heir.counters["void_rows", "found"], heir.counters["void_rows", "healed"]) == (1, 1)
    heir.kafka.tail(HOME)
    await settled()
    assert heir.kafka.void(HOME) == {}
    assert heir.kafka.log[DEVICE, HOME][-1] is healing


async def test_decisions_are_made_as_if_the_void_row_were_not_there() -> None:
    zombie, heir = await zombie_and_heir()
    zombie.kafka.acknowledge()
    heir.kafka.tail(HOME)
    await heir.change((USER, register("cc" * 32, T0 - 700)))
    await settled()
    heir.kafka.tail(HOME)
    assert token(heir) == b"cc" * 32  # older than the zombie's, newer than what is known
    assert heir.kafka.get(HOME, KEY) == heir.kafka.compacted(HOME)[KEY]


async def test_what_was_in_flight_before_a_partition_was_lost_is_not_believed_when_it_comes_back() -> None:
    zombie, heir = await zombie_and_heir()
    zombie.kafka.acknowledge()  # `bb` lands behind the heir's fence: void
    await zombie.take_over(HOME, heir.stage.commit_metadata(TP(DEVICE_CHANGED, HOME), 0))
    await zombie.change((USER, register("cc" * 32, T0 - 700)))  # older than `bb`, newer than what is known
    zombie.kafka.acknowledge()
    zombie.kafka.tail(HOME)
    await settled()
    assert token(zombie) == b"cc" * 32
    assert zombie.rows_in_flight == 0


async def test_a_row_that_is_known_to_be_gone_is_removed_again() -> None:
    zombie, heir = await zombie_and_heir()
    await heir.change((USER, b'{"op":"forget_user"}'))
    heir.kafka.tail(HOME)
    zombie.kafka.acknowledge()
    heir.kafka.tail(HOME)
    await settled()
    assert token(heir) is None


async def test_what_is_in_flight_is_what_is_known() -> None:
    zombie, heir = await zombie_and_heir()
    heir.kafka.acks = False
    await heir.change((USER, register("cc" * 32, T0 - 400)))
    zombie.kafka.acknowledge()
    heir.kafka.tail(HOME)
    await settled()
    heir.kafka.acknowledge()
    assert token(heir) == b"cc" * 32


async def test_a_zombie_does_not_heal_its_own_rows_against_its_heir() -> None:
    zombie, _ = await zombie_and_heir()
    zombie.kafka.tail(HOME)  # the heir's fence
    zombie.kafka.acknowledge()
    before = len(zombie.kafka.log[DEVICE, HOME])
    zombie.kafka.tail(HOME)
    await settled()
    zombie.kafka.acknowledge()
    assert len(zombie.kafka.log[DEVICE, HOME]) == before


async def test_a_void_row_that_a_dead_owner_did_not_heal_is_healed_by_the_next_one() -> None:
    zombie, heir = await zombie_and_heir()
    zombie.kafka.acknowledge()
    heir.kafka.acks = False
    heir.kafka.tail(HOME)  # it dies before its healing is acknowledged
    await settled()
    third = Harness(TwinKafka(log=heir.kafka.log))
    third.kafka.tail(HOME)
    await third.take_over(HOME)
    await settled()
    assert token(third) == b"aa" * 32


async def test_a_late_fence_of_a_zombie_does_not_stand_for_the_newer_one() -> None:
    heir = Harness()
    await heir.take_over(HOME)
    late = heir.kafka.log[DEVICE, HOME][:2]
    await heir.take_over(HOME)
    for fence in late:
        heir.kafka.append(fence)
    heir.kafka.tail(HOME)
    await settled()
    last = {each.key: each.value for each in heir.kafka.log[DEVICE, HOME]}
    assert last == records(f"register/{HOME}", SECONDS + 1)
    heir.kafka.tail(HOME)
    assert heir.kafka.void(HOME) == {}


async def test_f5_an_heir_of_another_release_is_known_by_the_fence_under_the_old_key() -> None:
    older = Harness()
    await older.take_over(HOME)
    headers = [*origin("register", HOME, SECONDS + 5), (FENCE, b"1")]
    older.kafka.append(record(DEVICE, HOME, -1, OLD_KEY, b"%d" % (SECONDS + 5), headers))
    heir = Harness(TwinKafka(log=older.kafka.log))
    heir.kafka.tail(HOME)
    await heir.take_over(HOME)  # its metadata is lost
    assert epochs(heir) == [SECONDS, SECONDS + 6]


async def test_an_error_while_healing_is_fatal() -> None:
    zombie, heir = await zombie_and_heir()

    def broken(*_: object) -> None:
        raise RuntimeError("disk")

    heir.kafka.get = broken  # type: ignore[method-assign, assignment]
    zombie.kafka.acknowledge()
    heir.kafka.tail(HOME)
    await settled()
    assert [str(error) for error in heir.failures] == ["disk"]


async def test_void_rows_of_a_partition_that_goes_are_left_to_its_next_owner() -> None:
    zombie, heir = await zombie_and_heir()
    await heir.stage.revoking({TP(DEVICE_CHANGED, HOME)})
    zombie.kafka.acknowledge()
    heir.kafka.tail(HOME)
    await settled()
    assert token(heir) == b"bb" * 32
    assert standing.decode(heir.stage.commit_metadata(TP(DEVICE_CHANGED, HOME), 0)).epoch == SECONDS + 1
