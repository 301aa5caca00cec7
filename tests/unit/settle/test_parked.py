from __future__ import annotations

import asyncio

import pytest

from pushcast.handover.standing import decode
from pushcast.model.words import Lane, Platform
from pushcast.settle.passes import BYTES_PER_SECOND, SOON_SECONDS, Intervals
from pushcast.stream.batch import TP, Committed
from pushcast.stream.tracker import Record
from pushcast.wire import headers as h
from pushcast.wire import topics
from pushcast.wire.control import control
from pushcast.wire.control.control import BreakerRecord, Kind, Pause, Subject
from pushcast.wire.control.control_state import ControlState
from pushcast.wire.sending.batches import decode_batch, encode_batch
from pushcast.wire.sending.parked import Why, parked_of, parked_record
from pushcast.wire.sending.retries import REFUSED, Round, round_of
from unit.send.twin import T0, message, record, send_batch
from unit.settle.twin import PASS_SECONDS, PROBE_SECONDS, Harness

SEND = topics.send(Platform.APNS, Lane.URGENT)
PARKED = topics.PARKED
NEWS = Subject(Kind.PAUSE, "news", Platform.APNS)
BROKEN = Subject(Kind.BREAKER, "news", Platform.APNS)


def parked(
    offset: int,
    user: int = 0,
    *,
    app: str = "news",
    why: Why = Why.PAUSED,
    expires_at: int = T0 + 3_600_000,
    doubtful: bool = False,
    rounds_made: int = 1,
    sent: int = 7,
) -> Record:
    value, headers = parked_record(
        app=app,
        lane=Lane.URGENT,
        platform=Platform.APNS,
        messages=[message(1, app=app, first_user=user, name=f"n{offset}", expires_at=expires_at)],
        why=why,
        run=0,
        first_seen_at=T0 - 5,
        rounds_made=rounds_made,
        doubtful=doubtful,
        sent_from=f"pushcast-send-apns-urgent|{sent}",
        carried=[("traceparent", b"00-1")],
    )
    return record(PARKED, 3, offset, value, None, headers)


class Lab(Harness):
    """SETTLE with a control state of the test's; the parked partition is a log that carried-over records return to."""

    def __init__(self, acks: bool = True) -> None:
        self.control = ControlState()
        self.control.live = True
        super().__init__(acks, self.control)
        self.fed = 0

    def pause(self) -> None:
        self.control.apply(NEWS.key(), control.encode(Pause(1)))

    def resume(self) -> None:
        self.control.apply(NEWS.key(), None)

    def breaker(self, *, is_open: bool) -> None:
        breaker = BreakerRecord("open", "x", 1, 2) if is_open else BreakerRecord("closed", "x", 1, 2, 3)
        self.control.apply(BROKEN.key(), control.encode(breaker))

    async def park(self, *records: Record) -> None:
        self.end = records[-1].offset + 1
        await self.feed(*records)

    async def bring_back(self) -> list[Record]:
        """What was carried over arrives again."""
        carried = self.outbox.of(PARKED)[self.fed :]
        self.fed += len(carried)
        again = [record(PARKED, 3, self.end + at, each.value, None, each.headers) for at, each in enumerate(carried)]
        if again:
            await self.park(*again)
        return again

    def sent(self) -> list[str]:
        return [
            user
            for each in self.outbox.of(SEND)
            for part in decode_batch(each.value or b"").messages
            for user in part.targets.user
        ]


async def test_parked_work_is_sent_when_its_pause_ends() -> None:
    lab = Lab()
    lab.pause()
    source = parked(100, doubtful=True)
    await lab.park(source)
    await lab.pass_time(PASS_SECONDS - 1)
    assert (lab.outbox.log, lab.low(PARKED)) == ([], 100)
    lab.resume()
    await lab.settle()
    [sent] = lab.outbox.log
    assert (sent.topic, sent.partition, sent.value) == (SEND, 3, source.value)
    headers = dict(sent.headers)
    assert round_of(sent.headers) == Round(1, True, 0)
    assert (headers["traceparent"], headers["push-came-from"]) == (b"00-1", f"{PARKED}|3|100".encode())
    assert not {"push-app", "push-parked-for", "push-sent-from"} & headers.keys()
    assert lab.low(PARKED) == 101


async def test_work_that_nothing_holds_goes_back_soon() -> None:
    lab = Lab()
    await lab.park(parked(100, why=Why.BUDGET))
    assert lab.sent() == []
    await lab.pass_time(1)
    assert lab.sent() == ["u0"]


async def test_work_that_waits_for_a_key_goes_back_with_the_next_pass_and_not_for_itself() -> None:
    lab = Lab()
    await lab.park(parked(100, why=Why.KEY_UNKNOWN))
    await lab.pass_time(SOON_SECONDS)
    assert lab.sent() == []
    await lab.pass_time(Intervals().pass_seconds)
    assert lab.sent() == ["u0"]


@pytest.mark.parametrize(
    ("closed_at", "cycles"),
    [
        pytest.param(T0 + 3_600_000, 30, id="parked before the breaker closed: soon"),
        pytest.param(T0 - 1, 10, id="parked by one whose own breaker is open although another one has closed"),
    ],
)
async def test_what_a_sender_parks_again_and_again_is_paid_for_with_time(closed_at: int, cycles: int) -> None:
    lab = Lab()
    lab.control.apply(BROKEN.key(), control.encode(BreakerRecord("closed", "x", 1, 2, closed_at)))
    value = encode_batch(send_batch(*[message(1, name=f"{n}" * 60_000) for n in range(10, 16)]))
    assert 2 < len(value) / BYTES_PER_SECOND < 3
    offset = 100
    for _ in range(30):
        if offset - 100 == len(lab.outbox.of(SEND)):
            await lab.park(record(PARKED, 3, offset, value, None, parked(offset, why=Why.BREAKER, sent=offset).headers))
            offset += 1
        await lab.pass_time(1)
    assert len(lab.outbox.of(SEND)) == cycles


async def test_a_pass_sends_what_may_go_carries_over_what_is_held_and_ends_what_has_expired() -> None:
    lab = Lab()
    lab.pause()
    await lab.park(parked(100, 0), parked(101, 1, app="other"), parked(102, 2, expires_at=T0 + 500))
    await lab.pass_time(1)
    assert lab.sent() == ["u1"]
    assert lab.outbox.outcomes() == {"u2": ("expired", "expired")}
    [carried] = lab.outbox.of(PARKED)
    assert parked_of(carried.headers) == parked_of(parked(100, 0).headers)
    assert (carried.value, dict(carried.headers)["push-sent-from"]) == (
        parked(100, 0).value,
        b"pushcast-send-apns-urgent|7",
    )
    assert lab.low(PARKED) == 103


async def test_a_doubtful_delivery_that_expired_while_parked_is_not_called_expired() -> None:
    lab = Lab()
    lab.pause()
    await lab.park(parked(100, 0, expires_at=T0 + 5_000, doubtful=True))
    await lab.pass_time(PASS_SECONDS)
    assert lab.outbox.outcomes() == {"u0": ("dead", "unknown_outcome")}


async def test_what_is_held_is_carried_over_once_per_pass() -> None:
    lab = Lab()
    lab.pause()
    await lab.park(*(parked(100 + n, n) for n in range(5)))
    for done in range(1, 4):
        await lab.pass_time(PASS_SECONDS)
        assert len(lab.outbox.of(PARKED)) == 5 * done
        again = await lab.bring_back()
        assert [dict(each.headers)["push-app"] for each in again] == [b"news"] * 5
        assert [sum(name == "push-came-from" for name, _ in each.headers) for each in again] == [1] * 5
    assert lab.sent() == []
    lab.resume()
    await lab.settle()
    assert lab.sent() == [f"u{n}" for n in range(5)]


async def test_what_is_parked_during_a_pass_waits_for_the_next() -> None:
    lab = Lab()
    lab.pause()
    await lab.park(parked(100, 0))
    lab.end = 101
    await lab.feed(parked(101, 1))
    lab.resume()
    await lab.settle()
    assert lab.sent() == ["u0"]
    await lab.pass_time(PASS_SECONDS)
    lab.end = 102
    await lab.pass_time(PASS_SECONDS)
    assert lab.sent() == ["u0", "u1"]


async def test_an_open_breaker_gets_one_record_as_a_probe_and_everything_when_it_closes() -> None:
    lab = Lab()
    lab.breaker(is_open=True)
    await lab.park(*(parked(100 + n, n, why=Why.BREAKER) for n in range(4)))
    await lab.pass_time(PROBE_SECONDS)
    assert lab.sent() == ["u0"]
    assert lab.outbox.of(PARKED) == [], "what is behind the probe stays where it is"
    await lab.pass_time(PROBE_SECONDS)
    assert lab.sent() == ["u0", "u1"]
    lab.breaker(is_open=False)
    await lab.settle()
    assert lab.sent() == ["u0", "u1", "u2", "u3"]


async def test_the_rare_pass_probes_too_and_carries_the_rest_over() -> None:
    lab = Lab()
    lab.breaker(is_open=True)
    await lab.park(*(parked(100 + n, n, why=Why.BREAKER) for n in range(3)))
    await lab.pass_time(PASS_SECONDS)
    assert lab.sent() == ["u0"]
    assert len(lab.outbox.of(PARKED)) == 2


@pytest.mark.parametrize("seconds", [PROBE_SECONDS, PASS_SECONDS])
async def test_a_probe_is_work_that_was_not_refused_before_while_there_is_any(seconds: float) -> None:
    lab = Lab()
    lab.breaker(is_open=True)
    refused = [was_refused_before(parked(100 + n, n, why=Why.BREAKER, rounds_made=0)) for n in range(2)]
    await lab.park(*refused, parked(102, 2, why=Why.BREAKER, rounds_made=0))
    await lab.pass_time(seconds)
    assert lab.sent() == ["u2"]


async def test_with_nothing_else_a_probe_is_work_that_was_refused_before() -> None:
    lab = Lab()
    lab.breaker(is_open=True)
    await lab.park(*[was_refused_before(parked(100 + n, n, why=Why.BREAKER, rounds_made=0)) for n in range(2)])
    await lab.pass_time(PROBE_SECONDS)
    assert lab.sent() == ["u0"]
    [sent] = [each for each in lab.outbox.log if each.topic == SEND]
    assert REFUSED in dict(sent.headers), "its sender must know"


def was_refused_before(waiting: Record) -> Record:
    return record(PARKED, 3, waiting.offset, waiting.value, None, [*waiting.headers, (REFUSED, b"1")])


async def test_what_an_operator_paused_is_no_probe() -> None:
    lab = Lab()
    lab.breaker(is_open=True)
    lab.pause()
    await lab.park(parked(100), parked(101, 1))
    await lab.pass_time(PASS_SECONDS)
    assert lab.sent() == []
    assert len(lab.outbox.of(PARKED)) == 2


async def test_a_breaker_that_opens_while_work_waits_gets_its_probe() -> None:
    lab = Lab()
    lab.pause()
    await lab.park(parked(100))
    lab.breaker(is_open=True)
    lab.control.apply(NEWS.key(), None)
    await lab.settle()
    assert lab.sent() == ["u0"]


async def test_fences_and_void_records_are_done_at_once() -> None:
    lab = Lab()
    lab.pause()
    mine = h.origin("settle-parked", 3, 20)
    old = parked(101, 1)
    void = record(PARKED, 3, 101, old.value, None, [*old.headers, *h.origin("settle-parked", 3, 19)])
    await lab.park(record(PARKED, 3, 100, None, None, [*mine, (h.FENCE, b"1")]), void, parked(102, 2))
    assert lab.low(PARKED) == 102
    assert lab.counters == {("void", PARKED): 1}
    assert decode(lab.stage.commit_metadata(TP(PARKED, 3), 102)).origins == {"settle-parked/3": 20}
    lab.resume()
    await lab.settle()
    assert lab.sent() == ["u2"]


async def test_a_parked_record_that_kafkas_client_wrote_twice_goes_once() -> None:
    lab = Lab()
    first = parked(100)
    await lab.park(first, record(PARKED, 3, 101, first.value, None, first.headers), parked(102, 2))
    await lab.pass_time(PASS_SECONDS)
    assert lab.sent() == ["u0", "u2"]
    assert (lab.low(PARKED), lab.counters["copies", ""]) == (103, 1)


async def test_fences_below_the_committed_offset_are_remembered_by_the_next_owner() -> None:
    lab = Lab()
    await lab.stage.assigned({TP(PARKED, 3): Committed(100, '{"v":1,"o":{"settle-parked/3":20}}')})
    old = parked(100, 1)
    void = record(PARKED, 3, 100, old.value, None, [*old.headers, *h.origin("settle-parked", 3, 19)])
    await lab.park(void)
    await lab.pass_time(PASS_SECONDS)
    assert (lab.sent(), lab.low(PARKED)) == ([], 101)


async def test_a_redriven_record_without_its_headers_is_judged_by_its_content() -> None:
    lab = Lab()
    lab.pause()
    value = parked(100).value
    await lab.park(record(PARKED, 3, 100, value), record(PARKED, 3, 101, b"junk"))
    await lab.pass_time(1)
    assert [each.value for each in lab.outbox.of(PARKED)] == [value]
    assert [each.value for each in lab.outbox.of(PARKED + ".dlq")] == [b"junk"]


async def test_a_pass_ends_when_its_partition_goes() -> None:
    lab = Lab(acks=False)
    lab.pause()
    await lab.park(*(parked(100 + n, n) for n in range(3)))
    lab.resume()
    await lab.settle()
    revoking = asyncio.create_task(lab.stage.revoking({TP(PARKED, 3)}))
    await lab.settle()
    assert not revoking.done()
    lab.outbox.acknowledge()
    await lab.settle()
    assert revoking.done()
    assert lab.low(PARKED) == 103
    assert lab.stage.waiting() == 0


async def test_retries_of_a_paused_app_are_passed_on_when_due() -> None:
    """Its sender parks them: one place decides."""
    from unit.settle.twin import waiting

    lab = Lab()
    lab.pause()
    await lab.feed(waiting(100, send_batch(message(1)), T0))
    assert lab.sent() == ["u0"]
