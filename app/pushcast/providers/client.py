"""A provider whose messages are multicast requests: the way of messages through rendering, engine and verdicts."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from pushcast.http2.attended import within
from pushcast.http2.leave import MayLeave, always
from pushcast.http2.pool_stats import PoolStats
from pushcast.http2.request import Response, Template
from pushcast.model.batch import Message
from pushcast.model.clock import Clock
from pushcast.model.words import Platform, Reason
from pushcast.providers.contents import each_content, portions
from pushcast.providers.credential import Credential, CredentialUnavailable, Expiring
from pushcast.providers.engines.engine import Engine, OpensConnections
from pushcast.providers.exchange import Exchange
from pushcast.providers.identity import CollapseBy
from pushcast.providers.paced import send_paced
from pushcast.providers.pacing import Pace
from pushcast.providers.port import Disposition, OnResults, Part, Result
from pushcast.providers.refusals import MessageRefusals
from pushcast.providers.requests import Requests, Shelf
from pushcast.providers.suspicion import Suspicion
from pushcast.providers.unsendable import Unsendable
from pushcast.providers.verdict import Remedy, Verdict

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Setup:
    """What a provider works with, whatever the platform. Without a pace it sends as fast as the engine takes it."""

    app: str
    engine_name: str
    engine: Engine
    credential: Credential
    timeout_seconds: float
    clock: Clock
    suspicion: Suspicion = field(default_factory=Suspicion)
    pace: Pace | None = None
    collapse_by: CollapseBy = "notification"


class TemplateProvider(ABC):
    """Port implementation shared by providers; see `pushcast.providers.port.ManyAtOnce` for its promises.

    With a `pace`, targets wait for their turn before their request is rendered and its timeout begins; one that
    expires meanwhile is UNSENT. Tokens that are refused in masses are CREDENTIAL, not INVALID (`suspicion`).
    """

    platform: Platform
    takes_wordings: Final = True

    def __init__(self, setup: Setup) -> None:
        self.app = setup.app
        self.engine = setup.engine_name
        self.clock = setup.clock
        self.refusals = MessageRefusals(setup.clock)
        self.pace = setup.pace
        self.collapse_by = setup.collapse_by
        self._engine = setup.engine
        self._credential = setup.credential
        self._timeout_seconds = setup.timeout_seconds
        self._suspicion = setup.suspicion

    @abstractmethod
    def prepare(self, part: Part, shelf: Shelf) -> list[Result]:
        """Adds requests to the shelf and returns the results of targets that need or can have none.

        The message has one content for all these targets. Raises Unsendable, and has then added nothing, when no target
        can have this message.
        """

    def prepare_each(self, part: Part, shelf: Shelf) -> list[Result]:
        """As `prepare` of each target by itself, for a message whose notifications have contents of their own. A
        content that cannot be sent ends its own target."""
        return [result for one in each_content(part) for result in self._prepared_or_refused(one, shelf)]

    @abstractmethod
    def template(self, key: Hashable, authorization: bytes) -> Template:
        """Of the requests that were put under this key; without an empty authorization."""

    @abstractmethod
    def provider_id(self, requests: Requests, position: int, response: Response) -> str | None:
        """The provider's own name of an accepted push."""

    @abstractmethod
    def judge(self, response: Response, now_ms: int, key: Hashable) -> Verdict:
        """What an answer means. `key`: of the template that its request was made of."""

    async def start(self) -> None:
        await self._engine.start()

    async def open_ahead(self) -> None:
        if isinstance(self._engine, OpensConnections):
            self._engine.open_ahead()
        if self._credential.current() is None:
            # Whoever sends first asks once more, and tells what came of it.
            with suppress(CredentialUnavailable, TimeoutError):
                await within(self._timeout_seconds, self._credential.header())

    async def close(self) -> None:
        await self._engine.close()
        await self._credential.close()

    @property
    def slow(self) -> bool:
        return self._engine.slow

    def pools(self) -> list[PoolStats]:
        return self._engine.pools()

    def credential_expires_at(self) -> float | None:
        """Seconds since the epoch; None for a credential without an end."""
        return self._credential.expires_at_seconds if isinstance(self._credential, Expiring) else None

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

    def send(
        self, message: Message, indices: Sequence[int], on_results: OnResults, may_leave: MayLeave = always
    ) -> Coroutine[Any, Any, None]:
        return self.send_many((Part(message, indices, on_results),), may_leave)

    async def send_many(self, parts: Sequence[Part], may_leave: MayLeave = always) -> None:
        if self.pace is None:
            await self._send_now(parts, may_leave)
            return
        async with asyncio.TaskGroup() as group:
            await send_paced(group, self.pace, parts, may_leave, self.clock, self._send_now)

    async def _send_now(self, parts: Sequence[Part], may_leave: MayLeave) -> None:
        if len(parts) == 1 and parts[0].message.wordings is None:  # without a task
            for requests in self._prepared(parts):
                await self._answered(requests, may_leave)
            return
        async with asyncio.TaskGroup() as group:
            for number, some in enumerate(portions(parts)):
                if number:  # preparing so many takes some milliseconds: others get a turn
                    await asyncio.sleep(0)
                for requests in self._prepared(some):
                    group.create_task(self._answered(requests, may_leave))

    def _prepared(self, parts: Sequence[Part]) -> list[Requests]:
        shelf = Shelf()
        for part in parts:
            wordings = part.message.wordings
            results = self._prepared_or_refused(part, shelf) if wordings is None else self.prepare_each(part, shelf)
            if results:
                part.on_results(results)
        return shelf.all

    def _prepared_or_refused(self, part: Part, shelf: Shelf) -> list[Result]:
        try:
            return self.prepare(part, shelf)
        except Unsendable as refusal:
            return self.refusals.results(refusal, part.message, part.indices)

    async def _answered(self, requests: Requests, may_leave: MayLeave) -> None:
        again = await self._exchange(requests, None, may_leave)
        if again:
            await self._exchange(requests, again, may_leave)

    async def _exchange(self, requests: Requests, positions: list[int] | None, may_leave: MayLeave) -> list[int]:
        """Positions to try once more, on other connections; the others had their results."""
        authorization = self._credential.current()
        if authorization is None:
            try:
                authorization = await within(self._timeout_seconds, self._credential.header())
            except TimeoutError:
                problem = CredentialUnavailable(
                    "no credential in time", Disposition.UNSENT, str(Reason.CONNECTION_FAILED)
                )
                _without_credential(requests, positions, problem)
                return []
            except CredentialUnavailable as problem:
                _without_credential(requests, positions, problem)
                return []
        columns = requests.columns if positions is None else requests.picked(positions)
        size = len(requests) if positions is None else len(positions)
        exchange = Exchange(self, requests, positions, asyncio.get_running_loop().time())
        template = self.template(requests.key, authorization)
        await self._engine.exchange(template, columns, size, self._timeout_seconds, exchange.on_outcomes, may_leave)
        if Remedy.REFRESH in exchange.remedies:
            await self._credential.refresh(authorization)
        return exchange.again

    def replace_connections(self, opened_before: float) -> None:
        self._engine.replace_connections(opened_before)

    def judge_tokens(self, answers: int, suspect: int) -> bool:
        """Counts answers about tokens; False when the suspect ones are not to be believed."""
        suspicion = self._suspicion
        before = suspicion.suspicious
        doubted = suspicion.note(self.clock.monotonic_seconds(), answers, suspect)
        if doubted is not before:
            event = "tokens_refused_in_masses" if doubted else "tokens_believed_again"
            log.warning(event, app=self.app, platform=str(self.platform))
        return not doubted


def _without_credential(requests: Requests, positions: list[int] | None, problem: CredentialUnavailable) -> None:
    by_owner: dict[int, tuple[Part, list[Result]]] = {}
    for position in range(len(requests)) if positions is None else positions:
        part = requests.owners[position]
        _, results = by_owner.setdefault(id(part), (part, []))
        results.append(
            Result(
                requests.targets[position],
                problem.disposition,
                problem.reason,
                retry_after_seconds=problem.retry_after_seconds,
            )
        )
    for part, results in by_owner.values():
        part.on_results(results)
