"""A broadcast that is stopped or held: what of it has not left ends, or waits."""

from __future__ import annotations

from dataclasses import replace

from pushcast.model.batch import Message, NoteKind, Notes
from pushcast.wire import topics
from pushcast.wire.control.control import Halt, Kind, Name, encode
from pushcast.wire.control.control_state import ControlState
from pushcast.wire.sending.parked import Why, parked_of
from unit.send.twin import Harness, TwinProvider, message, send_batch


def of_broadcast(part: Message, broadcast_id: str) -> Message:
    return replace(part, notes=Notes(broadcast=[broadcast_id], kind=[NoteKind.BROADCAST]))


def halt(state: ControlState, kind: Kind, broadcast_id: str, *, over: bool = False) -> None:
    state.apply(Name(kind, broadcast_id).key(), None if over else encode(Halt(since_ms=1)))


async def test_fact_22_what_has_not_left_of_a_stopped_broadcast_ends_as_cancelled() -> None:
    provider = TwinProvider(accept=True)
    state = ControlState()
    harness = Harness(provider, control=state)
    halt(state, Kind.STOP, "b-1")
    other, note = of_broadcast(message(1, first_user=3), "b-2"), message(1, first_user=5)
    await harness.feed(send_batch(of_broadcast(message(2), "b-1"), other, note))
    assert harness.outbox.outcomes() == {
        **dict.fromkeys(("u0", "u1"), ("cancelled", "broadcast_stopped")),
        **dict.fromkeys(("u3", "u5"), ("accepted", None)),
    }
    assert provider.seen == ["u3", "u5"]
    assert harness.committable() == 101
    assert harness.budget.held == 0


async def test_fact_23_a_held_broadcast_is_kept_aside_and_goes_on_when_the_hold_is_over() -> None:
    provider = TwinProvider(accept=True)
    state = ControlState()
    harness = Harness(provider, control=state)
    halt(state, Kind.HOLD, "b-1")
    await harness.feed(send_batch(of_broadcast(message(2), "b-1")))
    assert (harness.outbox.parked(), provider.seen) == (["u0", "u1"], [])
    [parked] = harness.outbox.of(topics.PARKED)
    assert parked_of(parked.headers).why is Why.BROADCAST_HELD
    halt(state, Kind.HOLD, "b-1", over=True)
    await harness.feed(parked.value)
    assert provider.seen == ["u0", "u1"]


async def test_a_notification_of_the_same_id_is_not_a_broadcasts() -> None:
    provider = TwinProvider(accept=True)
    state = ControlState()
    harness = Harness(provider, control=state)
    halt(state, Kind.STOP, "n")
    await harness.feed(send_batch(message(1, name="n")))
    assert provider.seen == ["u0"]
