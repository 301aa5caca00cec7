"""Expo behind the port: pushes of all messages wait in one line and leave in requests of up to a hundred."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final

import orjson

from pushcast.http2.leave import MayLeave, always
from pushcast.model.batch import Message
from pushcast.model.clock import Clock
from pushcast.model.words import Platform, Reason
from pushcast.providers.doubt import Doubt
from pushcast.providers.expiry import epoch_seconds, expiries
from pushcast.providers.expo.api import MAX_CONNECTIONS, RECEIPTS_PATH, SEND_PATH, ExpoApi
from pushcast.providers.expo.message import MAX_RECIPIENTS, Recipient, is_token, render, request_body
from pushcast.providers.expo.pacer import Pacer
from pushcast.providers.expo.pushes import (
    QueuedPush,
    SendCall,
    by_project,
    deliver,
    leaving,
    result_of,
    ticket_result,
    unsent,
)
from pushcast.providers.expo.receipts import MAX_IDS_PER_REQUEST, Polled
from pushcast.providers.expo.strangers import Strangers
from pushcast.providers.expo.verdicts import (
    DIVISIBLE,
    OTHER_PROJECT,
    TOO_MANY_REQUESTS,
    UNAUTHORIZED,
    Refusal,
    read_receipts,
    read_send,
)
from pushcast.providers.identity import CollapseBy, filled
from pushcast.providers.port import Disposition, OnResults, Result
from pushcast.providers.suspicion import Suspicion
from pushcast.providers.unsendable import Unsendable, render_or_refuse
from pushcast.providers.verdict import Row, Verdict, verdict_of

# Pushes that would wait longer for their turn go back to the caller.
MAX_WAIT_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 0.25
_TOKEN_KIND: Final = 0


class ExpoProvider:
    """One Expo project; see `pushcast.providers.port.Provider` for its promises.

    `accepted` means a ticket, with its id as `provider_id`: what Apple or Google said about the push is in the receipt
    (`receipts`, from a quarter of an hour on). A dry run is answered here. Waiting for one's turn counts for itself,
    up to a minute; the request timeout is of the request alone.
    """

    platform = Platform.EXPO

    def __init__(
        self,
        app: str,
        engine_name: str,
        api: ExpoApi,
        clock: Clock,
        *,
        pacer: Pacer | None = None,
        suspicion: Suspicion | None = None,
        collapse_by: CollapseBy = "notification",
    ) -> None:
        self.app = app
        self.engine = engine_name
        self._api = api
        self._clock = clock
        reasons = frozenset((OTHER_PROJECT.reason,))
        self._doubt = Doubt(app, self.platform, suspicion or Suspicion(), reasons, clock)
        self._strangers = Strangers()
        self._collapse_by = collapse_by
        self._pacer = pacer or Pacer(clock.monotonic_seconds())
        self._line: deque[QueuedPush] = deque()
        self._requests: set[asyncio.Task[None]] = set()
        self._pump_due: asyncio.Handle | None = None

    @property
    def slow(self) -> bool:
        return self._api.slow

    @property
    def suspicious(self) -> bool:
        """Tokens of other projects come in such numbers that the configuration is to blame."""
        return self._doubt.suspicious

    def share(self, fraction: float) -> None:
        """The part of the project's limit that this process may use, from 0 to 1 (`pacing.share_of`); 1 at first.

        Raises ValueError.
        """
        self._pacer.share(fraction)

    async def start(self) -> None:
        self._api.start()

    async def close(self) -> None:
        if self._pump_due is not None:
            self._pump_due.cancel()
        for task in self._requests:
            task.cancel()
        await asyncio.gather(*self._requests, return_exceptions=True)
        await self._api.close()

    async def send(
        self, message: Message, indices: Sequence[int], on_results: OnResults, may_leave: MayLeave = always
    ) -> None:
        try:
            content = render_or_refuse(render, message)
        except Unsendable as refusal:
            on_results([Result(index, Disposition.REJECTED, refusal.reason) for index in indices])
            return
        targets = message.targets
        addresses, kinds, expires_at = targets.address, targets.kind, expiries(message)
        sound = [index for index in indices if kinds[index] == _TOKEN_KIND and is_token(addresses[index])]
        if len(sound) < len(indices):
            passed = set(sound)
            malformed = str(Reason.TOKEN_MALFORMED)
            on_results([Result(index, Disposition.INVALID, malformed) for index in indices if index not in passed])
        if not sound:
            return
        if message.options.dry_run:
            at = self._clock.now_ms()
            on_results([Result(index, Disposition.ACCEPTED, sent_at=at, answered_at=at) for index in sound])
            return
        sending = SendCall(on_results, len(sound), may_leave)
        now = self._clock.monotonic_seconds()
        contents = filled(content, message, sound, self._collapse_by)
        self._line.extend(
            QueuedPush(sending, index, Recipient(addresses[index], own, epoch_seconds(expires_at[index])), now)
            for index, own in zip(sound, contents, strict=True)
        )
        self._pump_soon()
        await sending.done

    async def receipts(self, ticket_ids: Sequence[str]) -> Polled:
        """See `receipts.ReceiptSource`. Raises ValueError beyond 1,000."""
        if len(ticket_ids) > MAX_IDS_PER_REQUEST:
            raise ValueError(f"{len(ticket_ids)} ticket ids, at most {MAX_IDS_PER_REQUEST}")
        answer = await self._api.post(RECEIPTS_PATH, orjson.dumps({"ids": list(ticket_ids)}))
        if isinstance(answer, Verdict):
            return Polled({}, answer)
        found = read_receipts(answer.status, answer.body, ticket_ids)
        if isinstance(found, Row):
            return Polled({}, verdict_of(found, retry_after_seconds=answer.named_delay(self._clock.now_ms())))
        return Polled(found)

    def _pump_soon(self, seconds: float = 0.0) -> None:
        """Not at once: what is sent in this turn of the loop leaves together."""
        if self._pump_due is None:
            loop = asyncio.get_running_loop()
            self._pump_due = loop.call_later(seconds, self._pump) if seconds else loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._pump_due = None
        while self._line and len(self._requests) < MAX_CONNECTIONS:
            self._leave_waiting_too_long()
            chunk = self._head()
            if not chunk:
                return
            wait_seconds = self._pacer.take(len(chunk), self._clock.monotonic_seconds())
            if wait_seconds > 0:
                self._line.extendleft(reversed(chunk))
                # Looked at again in between, so that nobody waits too long unnoticed.
                self._pump_soon(min(wait_seconds, _LOOK_SECONDS))
                return
            task = asyncio.get_running_loop().create_task(self._request(chunk))
            self._requests.add(task)
            task.add_done_callback(self._requested)

    def _head(self) -> list[QueuedPush]:
        """The next pushes of the line, without those whose call was cancelled."""
        chunk: list[QueuedPush] = []
        while self._line and len(chunk) < min(MAX_RECIPIENTS, self._pacer.burst):
            push = self._line.popleft()
            if not push.sending.done.done():
                chunk.append(push)
        return chunk

    def _leave_waiting_too_long(self) -> None:
        oldest = self._clock.monotonic_seconds() - MAX_WAIT_SECONDS
        late: list[QueuedPush] = []
        while self._line and self._line[0].queued_at < oldest:
            late.append(self._line.popleft())
        deliver([(push, unsent(push, Reason.RATE_LIMITED)) for push in late])

    def _requested(self, task: asyncio.Task[None]) -> None:
        self._requests.discard(task)
        if not task.cancelled() and task.exception() is not None:
            # A defect: the calls that wait must not wait for ever. They raise what was raised here.
            asyncio.get_running_loop().call_exception_handler(
                {"message": "a request to Expo failed unexpectedly", "exception": task.exception(), "task": task}
            )
        if self._line:
            self._pump_soon()

    async def _request(self, pushes: list[QueuedPush]) -> None:
        try:
            await self._send(pushes)
        except Exception as error:
            for sending in {push.sending for push in pushes}:
                if not sending.done.done():
                    sending.done.set_exception(error)
            raise

    async def _send(self, pushes: list[QueuedPush]) -> None:
        """Sends, and delivers a result for each; in parts where Expo takes parts only."""
        pushes = leaving(pushes)
        refusal = await self._attempt(pushes) if pushes else None
        if refusal is not None:
            await self._divide(pushes, refusal)

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
                await self._send(half)
            return
        self._refuse(pushes, refusal.row, None)

    async def _send_projects(self, parts: list[list[QueuedPush]]) -> None:
        """One request for each project. Those whose project refuses our credential while it serves another one's are
        tokens of a foreign project; when none is served it is the credential."""
        refused: list[list[QueuedPush]] = []
        began_at = self._clock.monotonic_seconds()
        for whole in parts:
            await self._turn(len(whole))
            part = leaving(whole)
            if not part:
                continue
            refusal = await self._attempt(part, hold=UNAUTHORIZED)
            if refusal is not None and refusal.row is UNAUTHORIZED:
                refused.append(part)
            elif refusal is not None:
                await self._divide(part, refusal)
        for part in refused:
            if self._strangers.served_since(began_at):
                self._refuse(part, OTHER_PROJECT, None)
            else:
                self._unauthorized(part, None, None)

    async def _attempt(self, pushes: list[QueuedPush], hold: Row | None = None) -> Refusal | None:
        """One request. None when each push had its result; a refusal when it may be sent in parts, or is `hold`."""
        sent_at = self._clock.now_ms()
        left_at = self._clock.monotonic_seconds()
        answer = await self._api.post(SEND_PATH, request_body([push.recipient for push in pushes]))
        if isinstance(answer, Verdict):
            deliver([(push, result_of(push, answer, None, None, sent_at, sent_at)) for push in pushes])
            return None
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
            return None
        if read.row in DIVISIBLE or read.row is hold:
            return read
        after = answer.named_delay(self._clock.now_ms())
        if read.row is UNAUTHORIZED:
            self._unauthorized(pushes, answer.status, after, sent_at)
            return None
        if read.row is TOO_MANY_REQUESTS:
            pause = TOO_MANY_REQUESTS.retry_after_seconds if after is None else after
            self._pacer.slow_down(min(pause or 0.0, MAX_WAIT_SECONDS), self._clock.monotonic_seconds())
        self._refuse(pushes, read.row, answer.status, after, sent_at)
        return None

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
