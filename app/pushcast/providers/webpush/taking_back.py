"""Removals at push services: what a device has not got yet is deleted at its service, or replaced there."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import msgspec

from pushcast.http2.leave import MayLeave
from pushcast.http2.request import Outcomes
from pushcast.model.batch import Message
from pushcast.model.clock import Clock
from pushcast.model.recalls import messages_of, tags_of
from pushcast.providers.engines.engine import Columns
from pushcast.providers.port import Disposition, OnResults, Result
from pushcast.providers.verdict import Verdict
from pushcast.providers.webpush.credentials import Vapid
from pushcast.providers.webpush.endpoints import EndpointPolicy, Origin
from pushcast.providers.webpush.origins import Origins
from pushcast.providers.webpush.pushes import why_unsent
from pushcast.providers.webpush.recalls import deletes, judge, template_of
from pushcast.providers.webpush.replacing import OneEach
from pushcast.providers.webpush.subscription import EndpointForbidden, Malformed, parse

_Verdicts = dict[int, tuple[Verdict, int | None]]


#: Sends the removal itself to these targets, in place of what has this tag.
Push = Callable[[Message, Sequence[int], OnResults, MayLeave, str | None], Coroutine[Any, Any, None]]


class TakingBack:
    """Of one app. `origins`: the services that an operator named; nobody else is asked to delete anything."""

    def __init__(
        self,
        vapid: Vapid,
        policy: EndpointPolicy,
        origins: Origins,
        timeout_seconds: float,
        clock: Clock,
        push: Push,
        *,
        replaces: bool = False,
    ) -> None:
        """`replaces`: a removal goes in place of what it takes back, where that is known."""
        self._vapid = vapid
        self._policy = policy
        self._origins = origins
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._push = push
        self._replaces = replaces

    async def take_back(
        self, message: Message, indices: Sequence[int], on_results: OnResults, may_leave: MayLeave
    ) -> None:
        """Deletes at their services what these targets have not got yet, and sends the removal in place of what it
        replaces. It goes by itself to those for whom nothing is known of either kind."""
        platforms, devices = message.content.platforms, message.targets.device
        deleted: dict[int, list[str]] = {}
        sent: dict[str | None, list[int]] = {}
        for index in indices:
            tags = tags_of(platforms, devices[index]) if self._replaces else []
            names = messages_of(platforms, devices[index], replacing=self._replaces)
            if names:
                deleted[index] = names
            for tag in tags if names or tags else [None]:
                sent.setdefault(tag, []).append(index)
        requests = Counter([*deleted, *chain.from_iterable(sent.values())])
        one_each = OneEach(requests, on_results)
        own = replace(message, content=msgspec.structs.replace(message.content, platforms={}))  # what else is ours
        async with asyncio.TaskGroup() as group:
            if deleted:
                group.create_task(self._delete_all(message, deleted, one_each, may_leave))
            for tag, targets in sent.items():
                group.create_task(self._push(own, targets, one_each, may_leave, tag))

    async def _delete_all(
        self, message: Message, deleted: dict[int, list[str]], on_results: OnResults, may_leave: MayLeave
    ) -> None:
        results: list[Result] = []
        wanted: dict[Origin, list[tuple[int, str]]] = {}
        for index, names in deleted.items():
            origin = self._deleting(message, index)
            if origin is None:
                results.append(Result(index, Disposition.REJECTED, "not_recallable"))
            else:
                wanted.setdefault(origin, []).extend((index, name) for name in names)
        verdicts: _Verdicts = {}
        for origin, pairs in wanted.items():
            await self._delete(origin, pairs, verdicts, may_leave)
        now = self._clock.now_ms()
        for index, (verdict, status) in verdicts.items():
            after = verdict.retry_after_seconds
            results.append(Result(index, verdict.disposition, verdict.reason, status, None, None, after, now, now))
        on_results(results)

    def _deleting(self, message: Message, index: int) -> Origin | None:
        """The service of a target, where it deletes undelivered messages."""
        try:
            origin = self._policy.origin(parse(message.targets.address[index]).authority)
        except (Malformed, EndpointForbidden):
            return None
        return origin if origin is not None and origin.listed and deletes(origin.host) else None

    async def _delete(
        self, origin: Origin, pairs: list[tuple[int, str]], verdicts: _Verdicts, may_leave: MayLeave
    ) -> None:
        """Of a target with several messages, the verdict that is no success counts."""

        def note(outcomes: Outcomes) -> None:
            now = self._clock.now_ms()
            for position, response in outcomes:
                verdict = judge(response, now)
                index = pairs[position][0]
                if verdict.disposition is not Disposition.ACCEPTED or index not in verdicts:
                    verdicts[index] = verdict, response.status or None

        try:
            async with asyncio.timeout(self._timeout_seconds):
                engine = await self._origins.acquire(origin)
        except OSError as error:
            unsent = Verdict(Disposition.UNSENT, why_unsent(error))
            verdicts.update((index, (unsent, None)) for index, _ in pairs)
            return
        try:
            authorization = self._vapid.header(f"https://{origin.authority}")
            columns: Columns = [[name.encode() for _, name in pairs]]
            template = template_of(origin.authority, authorization)
            await engine.exchange(template, columns, len(pairs), self._timeout_seconds, note, may_leave)
        finally:
            self._origins.release(origin)
