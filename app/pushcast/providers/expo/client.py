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
from pushcast.providers.expo.api import MAX_CONNECTIONS, RECEIPTS_PATH, ExpoApi
from pushcast.providers.expo.message import MAX_RECIPIENTS, Recipient, is_token, render
from pushcast.providers.expo.pacer import Pacer, Unpaced
from pushcast.providers.expo.parts import SendInParts
from pushcast.providers.expo.pushes import QueuedPush, SendCall, deliver, unsent
from pushcast.providers.expo.receipts import MAX_IDS_PER_REQUEST, Polled
from pushcast.providers.expo.verdicts import OTHER_PROJECT, read_receipts
from pushcast.providers.identity import CollapseBy, filled
from pushcast.providers.port import Disposition, OnResults, Result
from pushcast.providers.refusals import MessageRefusals
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
        pacer: Pacer | Unpaced | None = None,
        suspicion: Suspicion | None = None,
        collapse_by: CollapseBy = "notification",
    ) -> None:
        self.app = app
        self.engine = engine_name
        self._api = api
        self._clock = clock
        self._refusals = MessageRefusals(clock)
        reasons = frozenset((OTHER_PROJECT.reason,))
        self._doubt = Doubt(app, self.platform, suspicion or Suspicion(), reasons, clock)
        self._collapse_by = collapse_by
        self._pacer = pacer or Pacer(clock.monotonic_seconds())
        self._parts = SendInParts(api, clock, self._pacer, self._doubt, MAX_WAIT_SECONDS)
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
            on_results(self._refusals.results(refusal, message, indices))
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
            await self._parts.send(pushes)
        except Exception as error:
            for sending in {push.sending for push in pushes}:
                if not sending.done.done():
                    sending.done.set_exception(error)
            raise
