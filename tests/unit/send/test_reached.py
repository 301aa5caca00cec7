"""What SEND announces of a push service that answers again is what every process understands."""

from __future__ import annotations

from pushcast.model.clock import ManualClock
from pushcast.send.reached import ReachedHosts
from pushcast.wire import topics
from pushcast.wire.control.control_state import ControlState
from twins.kafka import TwinOutbox
from unit.send.twin import T0


def test_the_announcement_stands_in_the_control_topic() -> None:
    outbox, state = TwinOutbox(), ControlState()
    ReachedHosts(outbox, ManualClock(T0)).tell("news", "push.example")
    [(_, record)] = outbox.pending
    assert (record.topic, record.partition) == (topics.CONTROL, 0)
    state.apply(record.key, record.value)
    assert state.reached["news/push.example"].at_ms == T0
