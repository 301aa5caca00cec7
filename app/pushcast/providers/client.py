"""A provider whose messages are multicast requests: the way of a message through rendering, engine and verdicts."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Final

import structlog

from pushcast.model.batch import Message
from pushcast.model.clock import Clock
from pushcast.model.words import Platform
from pushcast.providers.credential import Credential, CredentialUnavailable
from pushcast.providers.engines.engine import Columns, Engine
from pushcast.providers.http2.request import Outcomes, Response, Template
from pushcast.providers.pacing import Pace
from pushcast.providers.port import Disposition, OnResults, Result
from pushcast.providers.suspicion import MASS_INVALID_TOKENS, SUSPECT_REASONS, Suspicion
from pushcast.providers.unsendable import Unsendable
from pushcast.providers.verdict import Remedy, Verdict

# 429 and 503: the provider asks for less.
_SLOW_DOWN: Final = frozenset((429, 503))
_DISBELIEVED: Final[dict[str, Any]] = {"disposition": Disposition.CREDENTIAL, "reason": MASS_INVALID_TOKENS}

log = structlog.get_logger(__name__)


class Prepared(ABC):
    """A rendered message and those of its targets that can be asked for. `results` are of those that cannot."""

    indices: list[int]  # into message.targets, by position
    results: list[Result]

    @abstractmethod
    def requests(self, authorization: bytes, positions: Sequence[int] | None) -> tuple[Template, Columns]:
        """Template and columns for these positions, None for all; without an empty authorization."""

    @abstractmethod
    def provider_id(self, position: int, response: Response) -> str | None:
        """The provider's own name of an accepted push."""


class TemplateProvider(ABC):
    """Port implementation shared by providers; see `pushcast.providers.port.Provider` for its promises.

    With a `pace`, targets wait for their turn before their request is rendered and its timeout begins; one that
    expires meanwhile is UNSENT. With a `suspicion`, tokens that are refused in masses are CREDENTIAL, not INVALID.
    """

    platform: Platform

    def __init__(
        self,
        app: str,
        engine_name: str,
        engine: Engine,
        credential: Credential,
        timeout_seconds: float,
        clock: Clock,
        *,
        suspicion: Suspicion | None = None,
        pace: Pace | None = None,
    ) -> None:
        self.app = app
        self.engine = engine_name
        self._engine = engine
        self._credential = credential
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._suspicion = suspicion or Suspicion()
        self.pace = pace

    @abstractmethod
    def prepare(self, message: Message, indices: Sequence[int]) -> Prepared:
        """Raises Unsendable when no target can have this message."""

    @abstractmethod
    def judge(self, response: Response, now_ms: int) -> Verdict:
        """What an answer means."""

    async def start(self) -> None:
        await self._engine.start()

    async def close(self) -> None:
        await self._engine.close()
        await self._credential.close()

    @property
    def suspicious(self) -> bool:
        """Tokens are refused in such numbers that the configuration is to blame."""
        return self._suspicion.suspicious

    def share(self, fraction: float) -> None:
        """The part of the provider's quota that this process may use, from 0 to 1 (`pacing.share_of`); 1 at first.

        Without effect on a provider that is not paced. Raises ValueError.
        """
        if self.pace is not None:
            self.pace.share(fraction)

    async def send(self, message: Message, indices: Sequence[int], on_results: OnResults) -> None:
        if self.pace is None:
            await self._send_now(message, indices, on_results)
            return
        async with asyncio.TaskGroup() as group:
            await self._send_paced(group, self.pace, message, indices, on_results)

    async def _send_paced(
        self,
        group: asyncio.TaskGroup,
        pace: Pace,
        message: Message,
        indices: Sequence[int],
        on_results: OnResults,
    ) -> None:
        """Starts a piece of the targets at a time; no more than one of this message waits for its turn."""
        clock, expires_at = self._clock, message.targets.expires_at
        at = 0
        while at < len(indices):
            count, wait = pace.take(len(indices) - at, clock.monotonic_seconds())
            piece = indices[at : at + count]
            at += count
            try:
                while wait > 0:
                    await asyncio.sleep(wait)
                    wait = pace.hold_seconds(clock.monotonic_seconds())
            except asyncio.CancelledError:
                pace.give_back(count)
                raise
            now = clock.now_ms()
            if late := [index for index in piece if expires_at[index] <= now]:
                pace.give_back(len(late))
                on_results([Result(index, Disposition.UNSENT, "not_sent_in_time") for index in late])
                piece = [index for index in piece if expires_at[index] > now]
            if not piece:
                continue
            if at >= len(indices):  # the last piece, and often the only one: without a task
                await self._send_now(message, piece, on_results)
            else:
                group.create_task(self._send_now(message, piece, on_results))

    async def _send_now(self, message: Message, indices: Sequence[int], on_results: OnResults) -> None:
        try:
            prepared = self.prepare(message, indices)
        except Unsendable as refusal:
            on_results([Result(index, Disposition.REJECTED, refusal.reason) for index in indices])
            return
        if prepared.results:
            on_results(prepared.results)
        if not prepared.indices:
            return
        deadline_at = asyncio.get_running_loop().time() + self._timeout_seconds
        again = await self._exchange(prepared, None, on_results, deadline_at, last=False)
        if again:
            await self._exchange(prepared, again, on_results, deadline_at, last=True)

    async def _exchange(
        self,
        prepared: Prepared,
        positions: list[int] | None,
        on_results: OnResults,
        deadline_at: float,
        *,
        last: bool,
    ) -> list[int]:
        """Positions to try once more, on other connections; the others had their results."""
        loop = asyncio.get_running_loop()
        authorization = self._credential.current()
        if authorization is None:
            try:
                async with asyncio.timeout_at(deadline_at):
                    authorization = await self._credential.header()
            except TimeoutError:
                problem = CredentialUnavailable("no credential in time", Disposition.UNSENT, "not_sent_in_time")
                on_results(_without_credential(prepared, positions, problem))
                return []
            except CredentialUnavailable as problem:
                on_results(_without_credential(prepared, positions, problem))
                return []
        template, columns = prepared.requests(authorization, positions)
        again: list[int] = []
        started_at = loop.time()
        sent_at = self._clock.now_ms()
        remedies: set[Remedy] = set()

        def on_outcomes(outcomes: Outcomes) -> None:
            now = self._clock.now_ms()
            results: list[Result] = []
            add, indices, provider_id = results.append, prepared.indices, prepared.provider_id
            suspects: list[Result] = []
            throttled: list[Verdict] = []
            silent = 0  # answers that say nothing about tokens
            for at, response in outcomes:
                position = at if positions is None else positions[at]
                if response.status == 200:
                    name = provider_id(position, response)
                    add(Result(indices[position], Disposition.ACCEPTED, None, 200, name, None, None, sent_at, now))
                    continue
                verdict = self.judge(response, now)
                if verdict.disposition is Disposition.INVALID:
                    result = _result(indices[position], verdict, response, sent_at, now)
                    (suspects.append if verdict.reason in SUSPECT_REASONS else add)(result)
                    continue
                silent += 1
                if response.status in _SLOW_DOWN:
                    throttled.append(verdict)
                if verdict.remedy is not Remedy.NONE:
                    if verdict.remedy not in remedies:
                        remedies.add(verdict.remedy)
                        self._engine.replace_connections(started_at)
                    if verdict.remedy is not Remedy.RECONNECT and not last:
                        again.append(position)
                        continue
                add(_result(indices[position], verdict, response, sent_at, now))
            believed = self._judge_tokens(len(outcomes) - silent, len(suspects))
            results += suspects if believed else [suspect._replace(**_DISBELIEVED) for suspect in suspects]
            if self.pace is not None:
                self._slow_down(self.pace, len(outcomes), throttled)
            if results:
                on_results(results)

        size = len(prepared.indices) if positions is None else len(positions)
        await self._engine.exchange(template, columns, size, deadline_at, on_outcomes)
        if Remedy.REFRESH in remedies:
            await self._credential.refresh(authorization)
        return again

    def _judge_tokens(self, answers: int, suspect: int) -> bool:
        """Counts answers about tokens; False when the suspect ones are not to be believed."""
        suspicion = self._suspicion
        before = suspicion.suspicious
        doubted = suspicion.note(self._clock.monotonic_seconds(), answers, suspect)
        if doubted is not before:
            event = "tokens_refused_in_masses" if doubted else "tokens_believed_again"
            log.warning(event, app=self.app, platform=str(self.platform))
        return not doubted

    def _slow_down(self, pace: Pace, answers: int, throttled: list[Verdict]) -> None:
        named = [verdict.retry_after_seconds for verdict in throttled if verdict.retry_after_seconds is not None]
        pace.note(self._clock.monotonic_seconds(), answers, len(throttled), max(named, default=None))


def _result(index: int, verdict: Verdict, response: Response, sent_at: int, now: int) -> Result:
    return Result(
        index,
        verdict.disposition,
        verdict.reason,
        response.status or None,
        None,
        verdict.invalid_since,
        verdict.retry_after_seconds,
        sent_at,
        now,
    )


def _without_credential(
    prepared: Prepared, positions: list[int] | None, problem: CredentialUnavailable
) -> list[Result]:
    chosen = range(len(prepared.indices)) if positions is None else positions
    return [
        Result(
            prepared.indices[position],
            problem.disposition,
            problem.reason,
            retry_after_seconds=problem.retry_after_seconds,
        )
        for position in chosen
    ]
