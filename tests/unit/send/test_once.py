"""A delivery that is now or never is handed over once, in time, or ends."""

from __future__ import annotations

import pytest

from pushcast.model.words import Outcome
from pushcast.providers.port import Disposition
from pushcast.send.decide import DOUBTFUL, EXPIRED, Again, End, Later, Park
from pushcast.send.once import ended_now, last_moments
from pushcast.wire.sending.retries import Rung
from unit.send.test_isolation import isolated, live, pause
from unit.send.test_many_at_once import TwinOfMany
from unit.send.twin import T0, Harness, TwinProvider, failed, message, ok, send_batch

CREATED = T0 - 50  # of the twin's messages
RUNG = Rung("10s", 10.0)


@pytest.mark.parametrize(
    ("verdict", "disposition", "expected"),
    [
        (End(Outcome.ACCEPTED), Disposition.ACCEPTED, End(Outcome.ACCEPTED)),
        (End(Outcome.REJECTED, "bad_request"), Disposition.REJECTED, End(Outcome.REJECTED, "bad_request")),
        (Again(0.25, False), Disposition.UNSENT, Again(0.25, False)),
        (Again(0.25, False), Disposition.RETRY, EXPIRED),
        (Again(0.25, True), Disposition.UNKNOWN, DOUBTFUL),
        (Later(RUNG, False), Disposition.UNSENT, EXPIRED),
        (Later(RUNG, False), Disposition.RETRY, EXPIRED),
        (Later(RUNG, True), Disposition.UNKNOWN, DOUBTFUL),
        (Park(False), Disposition.CREDENTIAL, EXPIRED),
        (Park(True), Disposition.RETRY, DOUBTFUL),
    ],
)
def test_only_what_never_left_is_tried_again(
    verdict: End | Again | Later | Park, disposition: Disposition, expected: End | Again
) -> None:
    assert ended_now(verdict, disposition) == expected


def test_the_last_moment_is_the_expiry_or_so_long_after_the_creation() -> None:
    mixed = message(2)
    mixed.targets.expires_at[:] = [CREATED, T0 + 1]
    assert list(last_moments(mixed, 10_000)) == [CREATED + 10_000, T0 + 1]


async def test_it_is_handed_over_although_its_expiry_is_past() -> None:
    provider = TwinProvider(accept=True)
    harness = Harness(provider)
    await harness.feed(send_batch(message(2, expires_at=CREATED)))
    assert provider.seen == ["u0", "u1"]
    assert harness.outbox.outcomes() == {"u0": ("accepted", None), "u1": ("accepted", None)}


async def test_ten_seconds_after_its_creation_it_is_expired() -> None:
    provider = TwinProvider(accept=True)
    harness = Harness(provider)
    harness.clock.advance(9.94)
    await harness.feed(send_batch(message(1, expires_at=CREATED)))
    harness.clock.advance(0.01)
    await harness.feed(send_batch(message(1, expires_at=CREATED, first_user=5)))
    assert provider.seen == ["u0"]
    assert harness.outbox.outcomes()["u5"] == ("expired", "expired")


async def test_what_waits_at_its_provider_leaves_within_ten_seconds_or_ends_as_expired() -> None:
    provider = TwinOfMany()
    harness = Harness(provider)
    late = message(2, expires_at=CREATED, first_user=5)
    await harness.feed(send_batch(message(1), late))
    asks = {call.message.targets.user[0]: call for call in provider.calls}
    harness.clock.advance(9.94)
    assert all(may_leave() for may_leave in provider.askers)
    asks["u5"].answer(ok(0))
    harness.clock.advance(0.01)
    assert sorted(may_leave() for may_leave in provider.askers) == [False, True]  # the other one may wait
    asks["u5"].answer(failed(Disposition.UNSENT, "not_sent_in_time", target=1))
    asks["u0"].answer(ok(0))
    await harness.settle()
    harness.fire()
    await harness.settle()
    assert harness.outbox.outcomes() == {
        "u0": ("accepted", None),
        "u5": ("accepted", None),
        "u6": ("expired", "expired"),
    }
    assert len(provider.calls) == 2
    assert (harness.committable(), harness.budget.held) == (101, 0)


async def test_a_failed_hand_over_is_its_end() -> None:
    provider = TwinProvider()
    harness = Harness(provider)
    await harness.feed(send_batch(message(2, expires_at=CREATED)))
    provider.calls[0].answer(failed(Disposition.RETRY), failed(Disposition.UNKNOWN, target=1))
    await harness.settle()
    assert harness.outbox.outcomes() == {"u0": ("expired", "expired"), "u1": ("dead", "unknown_outcome")}
    assert len(provider.calls) == 1
    assert harness.committable() == 101


async def test_what_is_paused_keeps_the_others_and_ends_what_is_now_or_never() -> None:
    control = live()
    pause(control)
    provider = TwinProvider(accept=True)
    harness = isolated(provider, control=control)
    mixed = message(3)
    mixed.targets.expires_at[1] = CREATED
    await harness.feed(send_batch(mixed))
    assert provider.seen == []
    assert harness.outbox.parked() == ["u0", "u2"]
    assert harness.outbox.outcomes() == {"u1": ("expired", "expired")}
    assert harness.committable() == 101
    assert harness.budget.held == 0


async def test_a_refused_key_keeps_the_others_and_ends_what_is_now_or_never() -> None:
    provider = TwinProvider()
    harness = isolated(provider)
    mixed = message(2)
    mixed.targets.expires_at[1] = CREATED
    await harness.feed(send_batch(mixed))
    provider.calls[0].answer(*[failed(Disposition.CREDENTIAL, "expired_key", target=at, status=403) for at in (0, 1)])
    await harness.settle()
    assert harness.outbox.outcomes() == {"u1": ("expired", "expired")}
    assert harness.committable() == 101
    assert harness.budget.held == 0
