"""Expo behind the port: pushes of all messages wait in one line and leave in requests of up to a hundred."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

import httpx
import orjson

from pushcast.model.batch import Message
from pushcast.model.clock import Clock
from pushcast.model.words import Platform, Reason
from pushcast.providers.doubt import Doubt
from pushcast.providers.expo.credentials import AccessToken
from pushcast.providers.expo.message import MAX_RECIPIENTS, Recipient, encoded, is_token, render, request_body
from pushcast.providers.expo.pacer import Pacer
from pushcast.providers.expo.receipts import MAX_IDS_PER_REQUEST, Polled
from pushcast.providers.expo.verdicts import (
    DIVISIBLE,
    OTHER_PROJECT,
    THEIRS,
    TOO_MANY_REQUESTS,
    UNAUTHORIZED,
    Refusal,
    Ticket,
    read_receipts,
    read_send,
)
from pushcast.providers.leave import MayLeave, always
from pushcast.providers.port import Disposition, OnResults, Result
from pushcast.providers.suspicion import Suspicion
from pushcast.providers.unsendable import Unsendable
from pushcast.providers.verdict import Row, Verdict, retry_after_seconds, verdict_of

# Expo's own SDK for Node sends as many requests at a time.
MAX_CONNECTIONS: Final = 6
# Pushes that would wait longer for their turn go back to the caller.
MAX_WAIT_SECONDS: Final = 60.0
MAX_ANSWER_BYTES: Final = 1_048_576
_CONNECT_TIMEOUT_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 0.25
_KEEPALIVE_SECONDS: Final = 30.0
_SEND_PATH: Final = "/--/api/v2/push/send"
_RECEIPTS_PATH: Final = "/--/api/v2/push/getReceipts"
_TOKEN_KIND: Final = 0
_UNSENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


class _Sending:
    """One call of `send`, until each of its pushes has a result."""

    __slots__ = ("done", "left", "may_leave", "on_results")

    def __init__(self, on_results: OnResults, left: int, may_leave: MayLeave) -> None:
        self.on_results = on_results
        self.may_leave = may_leave
        self.left = left
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def deliver(self, results: list[Result]) -> None:
        """A cancelled call hears nothing more; what its callback raises is its own caller's to know."""
        if self.done.done():
            return
        self.left -= len(results)
        try:
            self.on_results(results)
        except Exception as error:
            self.done.set_exception(error)
            return
        if self.left == 0:
            self.done.set_result(None)


class _Push(NamedTuple):
    sending: _Sending
    target: int
    recipient: Recipient
    queued_at: float


class _Answer(NamedTuple):
    status: int
    body: bytes
    retry_after: bytes | None


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
        url: str,
        tls: ssl.SSLContext,
        access_token: AccessToken,
        timeout_seconds: float,
        clock: Clock,
        *,
        pacer: Pacer | None = None,
        suspicion: Suspicion | None = None,
        proxy: httpx.Proxy | None = None,
    ) -> None:
        self.app = app
        self.engine = engine_name
        self._url = url
        self._tls = tls
        self._proxy = proxy
        self._access_token = access_token
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        reasons = frozenset((OTHER_PROJECT.reason,))
        self._doubt = Doubt(app, self.platform, suspicion or Suspicion(), reasons, clock)
        self._pacer = pacer or Pacer(clock.monotonic_seconds())
        self._client: httpx.AsyncClient | None = None
        self._line: deque[_Push] = deque()
        self._requests: set[asyncio.Task[None]] = set()
        self._pump_due: asyncio.Handle | None = None

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
        self._client = httpx.AsyncClient(
            base_url=self._url,
            verify=self._tls,
            trust_env=False,
            follow_redirects=False,
            proxy=self._proxy,
            timeout=httpx.Timeout(self._timeout_seconds, connect=_CONNECT_TIMEOUT_SECONDS),
            limits=httpx.Limits(
                max_connections=MAX_CONNECTIONS,
                max_keepalive_connections=MAX_CONNECTIONS,
                keepalive_expiry=_KEEPALIVE_SECONDS,
            ),
        )

    async def close(self) -> None:
        if self._pump_due is not None:
            self._pump_due.cancel()
        for task in self._requests:
            task.cancel()
        await asyncio.gather(*self._requests, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()

    async def send(
        self, message: Message, indices: Sequence[int], on_results: OnResults, may_leave: MayLeave = always
    ) -> None:
        try:
            content = render(message)
        except Unsendable as refusal:
            on_results([Result(index, Disposition.REJECTED, refusal.reason) for index in indices])
            return
        targets = message.targets
        addresses, kinds, expires_at = targets.address, targets.kind, targets.expires_at
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
        sending = _Sending(on_results, len(sound), may_leave)
        now = self._clock.monotonic_seconds()
        self._line.extend(
            _Push(sending, index, Recipient(addresses[index], content, expires_at[index] // 1000), now)
            for index in sound
        )
        self._pump_soon()
        await sending.done

    async def receipts(self, ticket_ids: Sequence[str]) -> Polled:
        """See `receipts.ReceiptSource`. Raises ValueError beyond 1,000."""
        if len(ticket_ids) > MAX_IDS_PER_REQUEST:
            raise ValueError(f"{len(ticket_ids)} ticket ids, at most {MAX_IDS_PER_REQUEST}")
        answer = await self._post(_RECEIPTS_PATH, orjson.dumps({"ids": list(ticket_ids)}))
        if isinstance(answer, Verdict):
            return Polled({}, answer)
        found = read_receipts(answer.status, answer.body, ticket_ids)
        if isinstance(found, Row):
            return Polled({}, verdict_of(found, retry_after_seconds=self._named_delay(answer)))
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

    def _head(self) -> list[_Push]:
        """The next pushes of the line, without those whose call was cancelled."""
        chunk: list[_Push] = []
        while self._line and len(chunk) < min(MAX_RECIPIENTS, self._pacer.burst):
            push = self._line.popleft()
            if not push.sending.done.done():
                chunk.append(push)
        return chunk

    def _leave_waiting_too_long(self) -> None:
        oldest = self._clock.monotonic_seconds() - MAX_WAIT_SECONDS
        late: list[_Push] = []
        while self._line and self._line[0].queued_at < oldest:
            late.append(self._line.popleft())
        _deliver([(push, _unsent(push, Reason.RATE_LIMITED)) for push in late])

    def _requested(self, task: asyncio.Task[None]) -> None:
        self._requests.discard(task)
        if not task.cancelled() and task.exception() is not None:
            # A defect: the calls that wait must not wait for ever. They raise what was raised here.
            asyncio.get_running_loop().call_exception_handler(
                {"message": "a request to Expo failed unexpectedly", "exception": task.exception(), "task": task}
            )
        if self._line:
            self._pump_soon()

    async def _request(self, pushes: list[_Push]) -> None:
        try:
            await self._send(pushes)
        except Exception as error:
            for sending in {push.sending for push in pushes}:
                if not sending.done.done():
                    sending.done.set_exception(error)
            raise

    async def _send(self, pushes: list[_Push]) -> None:
        """Sends, and delivers a result for each; in parts where Expo takes parts only."""
        pushes = _leaving(pushes)
        refusal = await self._attempt(pushes) if pushes else None
        if refusal is not None:
            await self._divide(pushes, refusal)

    async def _divide(self, pushes: list[_Push], refusal: Refusal) -> None:
        if refusal.row is OTHER_PROJECT:
            parts = _by_project(pushes, refusal.projects)
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

    async def _send_projects(self, parts: list[list[_Push]]) -> None:
        """One request for each project. Those whose project refuses our credential while it serves another one's are
        tokens of a foreign project; when none is served it is the credential."""
        refused: list[list[_Push]] = []
        served = False
        for whole in parts:
            await self._turn(len(whole))
            part = _leaving(whole)
            if not part:
                continue
            refusal = await self._attempt(part, hold=UNAUTHORIZED)
            if refusal is None:
                served = True
            elif refusal.row is UNAUTHORIZED:
                refused.append(part)
            else:
                await self._divide(part, refusal)
        for part in refused:
            self._refuse(part, OTHER_PROJECT if served else UNAUTHORIZED, None)

    async def _attempt(self, pushes: list[_Push], hold: Row | None = None) -> Refusal | None:
        """One request. None when each push had its result; a refusal when it may be sent in parts, or is `hold`."""
        sent_at = self._clock.now_ms()
        answer = await self._post(_SEND_PATH, request_body([push.recipient for push in pushes]))
        if isinstance(answer, Verdict):
            _deliver([(push, _result(push, answer, None, None, sent_at, sent_at)) for push in pushes])
            return None
        now = self._clock.now_ms()
        read = read_send(answer.status, answer.body, len(pushes))
        if not isinstance(read, Refusal):
            self._deliver_judged(
                pushes,
                [
                    _ticket_result(push, ticket, answer.status, sent_at, now)
                    for push, ticket in zip(pushes, read, strict=True)
                ],
            )
            return None
        if read.row in DIVISIBLE or read.row is hold:
            return read
        after = self._named_delay(answer)
        if read.row is TOO_MANY_REQUESTS:
            pause = TOO_MANY_REQUESTS.retry_after_seconds if after is None else after
            self._pacer.slow_down(min(pause or 0.0, MAX_WAIT_SECONDS), self._clock.monotonic_seconds())
        self._refuse(pushes, read.row, answer.status, after, sent_at)
        return None

    def _refuse(
        self, pushes: list[_Push], row: Row, status: int | None, after: float | None = None, sent_at: int = 0
    ) -> None:
        now = self._clock.now_ms()
        verdict = verdict_of(row, retry_after_seconds=after)
        status = row.statuses[0] if status is None and row.statuses else status
        results = [_result(push, verdict, status, None, sent_at or now, now) for push in pushes]
        self._deliver_judged(pushes, results)

    def _deliver_judged(self, pushes: list[_Push], results: list[Result]) -> None:
        _deliver(list(zip(pushes, self._doubt.applied(results), strict=True)))

    async def _turn(self, count: int) -> None:
        """Waits until so many more may leave."""
        while (wait_seconds := self._pacer.take(count, self._clock.monotonic_seconds())) > 0:
            await asyncio.sleep(wait_seconds)

    async def _post(self, path: str, body: bytes) -> _Answer | Verdict:
        """The answer, or the verdict when there is none."""
        if self._client is None:
            return Verdict(Disposition.UNSENT, "closed_by_us")
        content, headers = encoded(body)
        headers["accept-encoding"] = "identity"
        authorization = self._access_token.header()
        if authorization is not None:
            headers["authorization"] = authorization
        try:
            # httpx's own timeouts are for each step, so they have no end together.
            async with (
                asyncio.timeout(self._timeout_seconds),
                self._client.stream("POST", path, content=content, headers=headers) as response,
            ):
                parts: list[bytes] = []
                size = 0
                async for part in response.aiter_bytes():
                    parts.append(part)
                    size += len(part)
                    if size > MAX_ANSWER_BYTES:
                        break
        except _UNSENT:
            return Verdict(Disposition.UNSENT, str(Reason.CONNECTION_FAILED))
        except (httpx.HTTPError, TimeoutError):
            return Verdict(Disposition.UNKNOWN, str(Reason.UNKNOWN_OUTCOME))
        named = response.headers.get("retry-after")
        return _Answer(response.status_code, b"".join(parts), None if named is None else named.encode())

    def _named_delay(self, answer: _Answer) -> float | None:
        return retry_after_seconds(answer.retry_after, self._clock.now_ms())


def _leaving(pushes: list[_Push]) -> list[_Push]:
    """Those that may still leave; the others have their results."""
    stays = {sending for sending in {push.sending for push in pushes} if not sending.may_leave()}
    if not stays:
        return pushes
    _deliver([(push, _unsent(push, "not_sent_in_time")) for push in pushes if push.sending in stays])
    return [push for push in pushes if push.sending not in stays]


def _by_project(pushes: list[_Push], projects: dict[str, list[str]]) -> list[list[_Push]]:
    """Parts of one project each, the largest first; tokens that the answer does not name are a part of their own."""
    project_of = {token.encode(): project for project, tokens in projects.items() for token in tokens}
    parts: dict[str | None, list[_Push]] = {}
    for push in pushes:
        parts.setdefault(project_of.get(push.recipient.token), []).append(push)
    return sorted(parts.values(), key=len, reverse=True)


def _ticket_result(push: _Push, ticket: Ticket, status: int, sent_at: int, now: int) -> Result:
    verdict = ticket.verdict
    if verdict.disposition is Disposition.ACCEPTED and ticket.ticket_id is None:
        verdict = verdict_of(THEIRS)._replace(disposition=Disposition.UNKNOWN)
    return _result(push, verdict, status, ticket.ticket_id, sent_at, now)


def _result(push: _Push, verdict: Verdict, status: int | None, ticket_id: str | None, sent_at: int, now: int) -> Result:
    # What Expo knows about a token it knew when we sent: one that was registered since is another matter.
    since = sent_at if verdict.disposition is Disposition.INVALID else None
    return Result(
        push.target,
        verdict.disposition,
        verdict.reason,
        status,
        ticket_id,
        since,
        verdict.retry_after_seconds,
        sent_at,
        now,
    )


def _unsent(push: _Push, reason: str) -> Result:
    return Result(push.target, Disposition.UNSENT, str(reason))


def _deliver(results: list[tuple[_Push, Result]]) -> None:
    """One list for each call of `send`."""
    by_sending: dict[_Sending, list[Result]] = {}
    for push, result in results:
        by_sending.setdefault(push.sending, []).append(result)
    for sending, own in by_sending.items():
        sending.deliver(own)
