"""`/v1/segments`: named audiences, as `pushcast segment list` and `show`."""

from __future__ import annotations

from pushcast.gateway.access import Caller
from pushcast.gateway.http import Answer, Request, answer
from pushcast.gateway.problems import Problem
from pushcast.wire.control.control_state import ControlState
from pushcast.wire.events.audiences import where_of


class SegmentCalls:
    """Those that this process has read from push.control.v1, which it follows. `pushcast segment` writes them."""

    def __init__(self, state: ControlState) -> None:
        self._state = state

    async def list(self, _: Request, caller: Caller) -> Answer:
        """GET /v1/segments."""
        caller.may_app(None)
        known = sorted(self._state.segments.items())
        return answer(200, {"segments": [{"name": name, "where": where_of(node)} for name, node in known]})

    async def show(self, request: Request, caller: Caller) -> Answer:
        """GET /v1/segments/{name}: what it stands for now."""
        caller.may_app(None)
        name = request.path["name"]
        node = self._state.segment(name)
        if node is None:
            raise Problem("not_found", "there is no segment of this name")
        return answer(200, {"name": name, "where": where_of(node)})
