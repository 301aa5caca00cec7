"""A provider whose messages are multicast requests: the way of a message through rendering, engine and verdicts."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence

from pushcast.model.batch import Message
from pushcast.model.clock import Clock
from pushcast.model.words import Platform
from pushcast.providers.credential import Credential, CredentialUnavailable
from pushcast.providers.engines.engine import Columns, Engine
from pushcast.providers.http2.request import Outcomes, Response, Template
from pushcast.providers.port import Disposition, OnResults, Result
from pushcast.providers.unsendable import Unsendable
from pushcast.providers.verdict import Remedy, Verdict


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
    """Port implementation shared by providers; see `pushcast.providers.port.Provider` for its promises."""

    platform: Platform

    def __init__(
        self, app: str, engine_name: str, engine: Engine, credential: Credential, timeout_seconds: float, clock: Clock
    ) -> None:
        self.app = app
        self.engine = engine_name
        self._engine = engine
        self._credential = credential
        self._timeout_seconds = timeout_seconds
        self._clock = clock

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

    async def send(self, message: Message, indices: Sequence[int], on_results: OnResults) -> None:
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
            for at, response in outcomes:
                position = at if positions is None else positions[at]
                if response.status == 200:
                    name = provider_id(position, response)
                    add(Result(indices[position], Disposition.ACCEPTED, None, 200, name, None, None, sent_at, now))
                    continue
                verdict = self.judge(response, now)
                if verdict.remedy is not Remedy.NONE:
                    if verdict.remedy not in remedies:
                        remedies.add(verdict.remedy)
                        self._engine.replace_connections(started_at)
                    if verdict.remedy is not Remedy.RECONNECT and not last:
                        again.append(position)
                        continue
                add(_result(indices[position], verdict, response, sent_at, now))
            if results:
                on_results(results)

        size = len(prepared.indices) if positions is None else len(positions)
        await self._engine.exchange(template, columns, size, deadline_at, on_outcomes)
        if Remedy.REFRESH in remedies:
            await self._credential.refresh(authorization)
        return again


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
