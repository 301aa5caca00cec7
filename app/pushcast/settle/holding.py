"""What keeps parked work where it is: an operator's pause, or an open breaker but for its probes."""

from __future__ import annotations

from collections.abc import Iterable

from pushcast.model.batch import Message
from pushcast.model.errors import InvalidInput
from pushcast.model.words import Lane, Platform
from pushcast.settle.outputs import Holds
from pushcast.settle.passes import Passes
from pushcast.settle.queue import Waiting
from pushcast.stream.batch import Record
from pushcast.wire.control.control_state import ControlState
from pushcast.wire.sending.parked import Parked, Why, parked_of, was_refused


class ControlHolding:
    """Answers from the control state as it is when it is asked."""

    def __init__(self, control: ControlState) -> None:
        self._control = control

    def probing(self) -> bool:
        """Whether any breaker is open."""
        return any(breaker.is_open for breaker in self._control.breakers.values())

    def may_go(self, record: Record) -> bool:
        """Whether nothing holds this parked record, as far as its headers say."""
        parked = _parked(record)
        if parked is None:
            return True
        # Whether senders have the key, or a broadcast is still held, is not known from the headers: the next pass finds
        # out, and not one for each record.
        held = self._control.held(parked.app, parked.platform, parked.lane)
        return not held and parked.why not in (Why.KEY_UNKNOWN, Why.BROADCAST_HELD, Why.QUIET_HOURS)

    def may_return(self, record: Record) -> bool:
        """True when the sender will probably park it again: it was parked for lack of budget or of a key or with its
        broadcast, or it was parked after another sender had announced that the breaker closed."""
        parked = _parked(record)
        if parked is None:
            return False
        breaker = self._control.breaker(parked.app, parked.platform)
        closed_at = None if breaker is None else breaker.closed_at_ms
        return parked.why in (Why.BUDGET, Why.KEY_UNKNOWN, Why.BROADCAST_HELD) or (
            parked.why is Why.BREAKER and closed_at is not None and record.timestamp > closed_at
        )

    def holds(self, passes: Passes, record: Record) -> Holds:
        """For the messages of this record in a pass; those of one app are held or go together."""
        known: dict[str, bool] = {}
        refused = was_refused(record.headers)

        def holds(message: Message, platform: Platform, lane: Lane) -> bool:
            held = known.get(message.app)
            if held is None:
                held = self._control.held(message.app, platform, lane)
                if held and not self._control.paused(message.app, platform, lane):
                    held = not passes.probes(message.app, platform, refused=refused)
                known[message.app] = held
            return held

        return holds

    def fresh_among(self, waiting: Iterable[Waiting]) -> frozenset[tuple[str, str]]:
        """(app, platform) of the records that were not refused before."""
        parked = [_parked(record) for _, record, _ in waiting if not was_refused(record.headers)]
        return frozenset((each.app, str(each.platform)) for each in parked if each is not None)

    def probe_among(self, waiting: Iterable[Waiting]) -> int | None:
        """Offset of the first record that could be a probe of an open breaker, best one that was not refused before."""
        refused = None
        for _, record, _ in waiting:
            parked = _parked(record)
            if parked is None or self._control.paused(parked.app, parked.platform, parked.lane):
                continue
            breaker = self._control.breaker(parked.app, parked.platform)
            if breaker is None or not breaker.is_open:
                continue
            if not was_refused(record.headers):
                return record.offset
            refused = record.offset if refused is None else refused
        return refused


def _parked(record: Record) -> Parked | None:
    """None for a record without its headers: one that was redriven."""
    try:
        return parked_of(record.headers)
    except InvalidInput:
        return None
