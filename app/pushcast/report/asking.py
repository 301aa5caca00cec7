"""Asks reporters: the owner of each partition, and its standby when the owner is silent or has not caught up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Protocol, TypeVar

from pushcast.wire.json_errors import UNREADABLE

logger = logging.getLogger(__name__)

#: Of all questions of an answer together.
ANSWER_SECONDS: Final = 2.0
#: How long the owner of a partition may be silent before its standby is asked.
STANDBY_SECONDS: Final = 1.0

#: (url of a reporter, path, parameters) to its answer; raises OSError when there is none.
Fetch = Callable[[str, str, Mapping[str, str]], Awaitable[bytes]]
Addresses = Callable[[], Mapping[int, str]]


class OfPartitions(Protocol):
    """An answer. `partitions`: those that were asked there and have caught up."""

    @property
    def partitions(self) -> list[int]: ...


A = TypeVar("A")
P = TypeVar("P", bound=OfPartitions)


def nobody() -> Mapping[int, str]:
    """Where there are no standbys."""
    return {}


class ReporterAsker:
    """`owners`, `standbys`: address of the reporter of each partition, as far as that is known."""

    def __init__(self, owners: Addresses, standbys: Addresses, fetch: Fetch) -> None:
        self._owners = owners
        self._standbys = standbys
        self._fetch = fetch

    async def all(self, path: str, parameters: Mapping[str, str], decode: Callable[[bytes], P]) -> list[P]:
        """Each reporter is asked for its own partitions, so that one which moves is not counted twice."""
        deadline = _now() + ANSWER_SECONDS
        owned, standbys = _by_url(self._owners()), self._standbys()
        without = sorted(standbys.keys() - self._owners().keys())

        async def ask(url: str, partitions: Sequence[int]) -> list[P]:
            first = deadline if standbys.keys().isdisjoint(partitions) else _now() + STANDBY_SECONDS
            said = await self._ask(url, path, _of(partitions, parameters), decode, min(first, deadline))
            whole = frozenset() if said is None else frozenset(said.partitions)
            missing = [each for each in partitions if each in standbys and each not in whole]
            if not missing:
                return [] if said is None else [said]
            rest = [each for each in partitions if each not in missing]
            more = await self._of_standbys(missing, path, parameters, decode, deadline)
            if said is None or not rest:
                return more or ([] if said is None else [said])
            if {each for answer in more for each in answer.partitions} < set(missing):
                return [said]  # what the owner has of them is better than nothing
            # The owner's sums of partitions that it has not read to the end must not be added to the standby's.
            again = await self._ask(url, path, _of(rest, parameters), decode, deadline)
            return more if again is None else [*more, again]

        asked = [ask(url, partitions) for url, partitions in owned.items()]
        found = await asyncio.gather(*asked, self._of_standbys(without, path, parameters, decode, deadline))
        return [answer for each in found for answer in each]

    async def one(
        self,
        partition: int,
        path: str,
        parameters: Mapping[str, str],
        decode: Callable[[bytes], A],
        whole: Callable[[A], bool],
    ) -> A | None:
        """Of the owner of one partition; of the standby, if the owner's answer is not `whole`. None: of neither."""
        deadline = _now() + ANSWER_SECONDS
        owner, standby = self._owners().get(partition), self._standbys().get(partition)
        said: A | None = None
        if owner is not None:
            first = deadline if standby is None else _now() + STANDBY_SECONDS
            said = await self._ask(owner, path, parameters, decode, min(first, deadline))
        if standby is None or (said is not None and whole(said)):
            return said
        other = await self._ask(standby, path, parameters, decode, deadline)
        return said if other is None or (said is not None and not whole(other)) else other

    async def _of_standbys(
        self,
        partitions: Sequence[int],
        path: str,
        parameters: Mapping[str, str],
        decode: Callable[[bytes], P],
        deadline: float,
    ) -> list[P]:
        standbys = self._standbys()
        owned = _by_url({each: standbys[each] for each in partitions if each in standbys})
        asked = [self._ask(url, path, _of(mine, parameters), decode, deadline) for url, mine in owned.items()]
        return [answer for answer in await asyncio.gather(*asked) if answer is not None]

    async def _ask(
        self, url: str, path: str, parameters: Mapping[str, str], decode: Callable[[bytes], A], deadline: float
    ) -> A | None:
        """None: it does not answer in time, or not in our words."""
        try:
            async with asyncio.timeout_at(deadline):
                return decode(await self._fetch(url, path, parameters))
        except (TimeoutError, OSError, *UNREADABLE) as error:
            logger.warning("the reporter at %s does not answer: %r", url, error)
            return None


def _by_url(addresses: Mapping[int, str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for partition, url in sorted(addresses.items()):
        found.setdefault(url, []).append(partition)
    return found


def _of(partitions: Sequence[int], parameters: Mapping[str, str]) -> dict[str, str]:
    return {**parameters, "partitions": ",".join(map(str, partitions))}


def _now() -> float:
    return asyncio.get_running_loop().time()
