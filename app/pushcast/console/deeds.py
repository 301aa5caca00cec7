"""Writes down what people did, and what they were refused."""

from __future__ import annotations

import logging
from collections.abc import Callable

from pushcast.console.visit import Deed
from pushcast.gateway.access import Caller
from pushcast.gateway.problems import Problem
from pushcast.gateway.writing import Writer
from pushcast.wire import topics
from pushcast.wire.control.actions import MAX_TEXT_CHARS, OperatorAction, encode

logger = logging.getLogger(__name__)

_PARTITION = 0


class Deeds:
    """Each is a record of `push.action.v1`. Where Kafka does not take it, the log has it."""

    def __init__(self, writer: Writer, now_ms: Callable[[], int]) -> None:
        self._writer = writer
        self._now_ms = now_ms

    async def done(self, caller: Caller, did: str, deed: Deed, address: str) -> None:
        """After it was done."""
        await self._write(self._action(caller, did, deed, address))

    async def refused(self, caller: Caller, did: str, what: str, problem: Problem, address: str) -> None:
        """Nothing was done."""
        await self._write(self._action(caller, did, Deed(what), address, problem.name))

    def _action(self, caller: Caller, did: str, deed: Deed, address: str, refused: str = "") -> OperatorAction:
        label = caller.key.label[:MAX_TEXT_CHARS]
        what, before, after = (text[:MAX_TEXT_CHARS] for text in deed)
        return OperatorAction(self._now_ms(), caller.id, label, did, what, refused, address, before, after)

    async def _write(self, action: OperatorAction) -> None:
        try:
            self._writer.check()
            future = self._writer.put_at(topics.ACTION, _PARTITION, action.by.encode(), encode(action))
            await self._writer.confirmed(future)
        except Problem as problem:
            logger.warning("an action is not in %s (%s): %s", topics.ACTION, problem, action)
