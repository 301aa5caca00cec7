"""One request for many pushes, and the parts that Expo takes it in when it does not take it whole.

Expo refuses a request that holds tokens of several projects, or one that it calls malformed, as a whole: it leaves
again in parts, project by project or by halves.
"""

from __future__ import annotations

import asyncio

from pushcast.model.clock import Clock
from pushcast.providers.doubt import Doubt
from pushcast.providers.expo.api import NOT_LEFT, SEND_PATH, ExpoApi
from pushcast.providers.expo.message import request_body
from pushcast.providers.expo.pacer import Pacer, Unpaced
from pushcast.providers.expo.pushes import (
    QueuedPush,
    SendCall,
    by_project,
    deliver,
    leaving,
    result_of,
    ticket_result,
    unwanted,
)
from pushcast.providers.expo.strangers import Strangers
from pushcast.providers.expo.verdicts import (
    DIVISIBLE,
    OTHER_PROJECT,
    TOO_MANY_REQUESTS,
    UNAUTHORIZED,
    Refusal,
    read_send,
)
from pushcast.providers.port import Result
from pushcast.providers.verdict import Row, Verdict, verdict_of


class SendInParts:
    """Of one project. `max_pause_seconds`: the longest pause that a refusal may ask of the pacer."""

    def __init__(
        self, api: ExpoApi, clock: Clock, pacer: Pacer | Unpaced, doubt: Doubt, max_pause_seconds: float
    ) -> None:
        self._api = api
        self._clock = clock
        self._pacer = pacer
        self._doubt = doubt
        self._max_pause_seconds = max_pause_seconds
        self._strangers = Strangers()

    async def send(self, pushes: list[QueuedPush]) -> None:
        """Sends, and delivers a result for each; in parts where Expo takes parts only."""
        asked, refusal = await self._attempt(pushes)
        if refusal is not None:
            await self._divide(asked, refusal)

    async def _divide(self, pushes: list[QueuedPush], refusal: Refusal) -> None:
        if refusal.row is OTHER_PROJECT:
            parts = by_project(pushes, refusal.projects)
            if len(parts) > 1:
                await self._send_projects(parts)
                return
        if len(pushes) > 1:
            middle = len(pushes) // 2
            for half in (pushes[:middle], pushes[middle:]):
                await self._turn(len(half))
                await self.send(half)
            return
        self._refuse(pushes, refusal.row, None)

    async def _send_projects(self, parts: list[list[QueuedPush]]) -> None:
        """One request for each project. Those whose project refuses our credential while it serves another one's are
        tokens of a foreign project; when none is served it is the credential."""
        refused: list[list[QueuedPush]] = []
        began_at = self._clock.monotonic_seconds()
        for whole in parts:
            await self._turn(len(whole))
            part, refusal = await self._attempt(whole, hold=UNAUTHORIZED)
            if refusal is not None and refusal.row is UNAUTHORIZED:
                refused.append(part)
            elif refusal is not None:
                await self._divide(part, refusal)
        for part in refused:
            if self._strangers.served_since(began_at):
                self._refuse(part, OTHER_PROJECT, None)
            else:
                self._unauthorized(part, None, None)

    async def _attempt(
        self, pushes: list[QueuedPush], hold: Row | None = None
    ) -> tuple[list[QueuedPush], Refusal | None]:
        """One request, with those that may leave when it is written. Returns them, and a refusal when they have no
        results yet: they may be sent in parts, or it is `hold`."""
        pushes = leaving(pushes, unwanted(pushes), self._clock.now_ms())
        if not pushes:
            return pushes, None
        stays: set[SendCall] = set()

        def may_leave() -> bool:
            stays.update(unwanted(pushes))
            return not stays

        sent_at = self._clock.now_ms()
        left_at = self._clock.monotonic_seconds()
        body = request_body([push.recipient for push in pushes])
        answer = await self._api.post(SEND_PATH, body, may_leave)
        if answer is NOT_LEFT:
            return await self._attempt(leaving(pushes, stays, sent_at), hold)
        if isinstance(answer, Verdict):
            deliver([(push, result_of(push, answer, None, None, sent_at, sent_at)) for push in pushes])
            return pushes, None
        now = self._clock.now_ms()
        read = read_send(answer.status, answer.body, len(pushes))
        if not isinstance(read, Refusal):
            self._strangers.served([push.recipient.token for push in pushes], left_at)
            self._deliver_judged(
                pushes,
                [
                    ticket_result(push, ticket, answer.status, sent_at, now)
                    for push, ticket in zip(pushes, read, strict=True)
                ],
            )
            return pushes, None
        if read.row in DIVISIBLE or read.row is hold:
            return pushes, read
        after = answer.named_delay(self._clock.now_ms())
        if read.row is UNAUTHORIZED:
            self._unauthorized(pushes, answer.status, after, sent_at)
            return pushes, None
        if read.row is TOO_MANY_REQUESTS:
            pause = TOO_MANY_REQUESTS.retry_after_seconds if after is None else after
            self._pacer.slow_down(min(pause or 0.0, self._max_pause_seconds), self._clock.monotonic_seconds())
        self._refuse(pushes, read.row, answer.status, after, sent_at)
        return pushes, None

    def _unauthorized(
        self, pushes: list[QueuedPush], status: int | None, after: float | None, sent_at: int = 0
    ) -> None:
        """The credential, or tokens of a foreign project: what was served in the meantime tells."""
        now = self._clock.monotonic_seconds()
        by_row: dict[Row, list[QueuedPush]] = {}
        for push in pushes:
            row = OTHER_PROJECT if self._strangers.refused(push.recipient.token, now) else UNAUTHORIZED
            by_row.setdefault(row, []).append(push)
        for row, mine in by_row.items():
            self._refuse(mine, row, status, after if row is UNAUTHORIZED else None, sent_at)

    def _refuse(
        self, pushes: list[QueuedPush], row: Row, status: int | None, after: float | None = None, sent_at: int = 0
    ) -> None:
        now = self._clock.now_ms()
        verdict = verdict_of(row, retry_after_seconds=after)
        status = row.statuses[0] if status is None and row.statuses else status
        results = [result_of(push, verdict, status, None, sent_at or now, now) for push in pushes]
        self._deliver_judged(pushes, results)

    def _deliver_judged(self, pushes: list[QueuedPush], results: list[Result]) -> None:
        deliver(list(zip(pushes, self._doubt.applied(results), strict=True)))

    async def _turn(self, count: int) -> None:
        """Waits until so many more may leave."""
        while (wait_seconds := self._pacer.take(count, self._clock.monotonic_seconds())) > 0:
            await asyncio.sleep(wait_seconds)
