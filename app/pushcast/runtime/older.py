"""Processes of an older release that run beside this one (rulings II.44).

A planner gives what waits to the keeper, and walks broadcasts. What it writes then may lie with older planners, senders
and settlers, which do not read it. So it does not start while one of them runs.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Final, NamedTuple, Protocol

from confluent_kafka import Message

from pushcast.handover.reading import Spot, TailUnreadable
from pushcast.model.errors import ConfigurationError, InvalidInput
from pushcast.model.words import Lane, Platform
from pushcast.runtime import whereabouts
from pushcast.runtime.presence import Reader
from pushcast.wire import groups, topics
from pushcast.wire.control import where
from pushcast.wire.control.where import RELEASE, Where

logger = logging.getLogger(__name__)

#: Who has said nothing for so long is not looked for: slots that nobody has any more stay in the topic.
RECENT_MS: Final = 900_000
#: Session timeouts within which a process that runs says so once more.
_HEARD_WITHIN: Final = 2.0
_SPOT: Final[Spot] = (topics.WHERE, 0)


class TimedReader(Reader, Protocol):
    """`handover.reading.SpanReader`."""

    async def since(self, spots: Iterable[Spot], at_ms: int) -> dict[Spot, int]: ...


class OlderProcess(NamedTuple):
    """`at_ms`: when it said so last, milliseconds since the epoch."""

    group: str
    slot: str
    where: Where
    at_ms: int

    def __str__(self) -> str:
        return f"pid {self.where.pid} on host {self.where.host} (slot {self.slot} of {self.group})"


class OlderReleaseRuns(ConfigurationError):
    """This process does not start beside them, with the exit code of a refused start."""

    exit_code = 2

    def __init__(self, running: Sequence[OlderProcess]) -> None:
        super().__init__(
            "an older release runs, which may not read what this planner gives to the keeper or walks: "
            + ", ".join(map(str, running))
            + ". Stop these first, or set plan.beside_older: true (docs/operations.md, Upgrade)"
        )


def read_before_planners(lanes: Iterable[Lane]) -> set[str]:
    """Groups of those who read what planners of these lanes write, the planners themselves, and those who write what
    these read: of all of them no older one may run."""
    found = {groups.REGISTER, groups.SETTLE}
    for lane in lanes:
        found |= {groups.plan(lane), *(groups.send(platform, lane) for platform in Platform)}
    return found


def older_of(
    records: Iterable[OlderProcess], of_groups: Collection[str], mine: Collection[bytes]
) -> list[OlderProcess]:
    """The newest word of each slot of these groups, where an older release has said it. `mine`: keys of this process's
    own slot, whose predecessor is gone or is found by `Presence`."""
    newest = {(each.group, each.slot): each for each in records}
    return [
        each
        for (group, slot), each in newest.items()
        if group in of_groups and each.where.release < RELEASE and where.key_of(group, slot) not in mine
    ]


class OlderReleases:
    """Of one cluster, by what processes with a slot say of themselves."""

    def __init__(self, reader: TimedReader, *, lives: Callable[[int], bool] = whereabouts.lives) -> None:
        """`lives`: whether a process of this host runs."""
        self._reader = reader
        self._lives = lives

    async def told(self, of_groups: Collection[str], since_ms: int, mine: Collection[bytes] = ()) -> list[OlderProcess]:
        """Who may run, because it has said so since then. Raises TailUnreadable."""
        return (await self._told(of_groups, since_ms, mine))[0]

    async def _told(
        self, of_groups: Collection[str], since_ms: int, mine: Collection[bytes]
    ) -> tuple[list[OlderProcess], int]:
        """`told`, and where the topic ended. It holds a day's words and more: what came before is not read."""
        first, end = (await self._reader.since([_SPOT], since_ms))[_SPOT], (await self._reader.ends([_SPOT]))[_SPOT]
        return self._may_run(older_of(await self._read(first, end), of_groups, mine), since_ms), end

    async def require_none(
        self,
        of_groups: Collection[str],
        mine: Collection[bytes],
        *,
        now_ms: int,
        session_timeout_seconds: float,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Raises OlderReleaseRuns for those that say so again while it looks: no clock is asked who runs. Returns at
        once where nobody may. Where nobody can tell it returns, and the log says so."""
        try:
            suspects, end = await self._told(of_groups, now_ms - RECENT_MS, mine)
            if not suspects:
                return
            logger.warning(
                "an older release may run: %s; waiting until it says so again", ", ".join(map(str, suspects))
            )
            await sleep(_HEARD_WITHIN * session_timeout_seconds)
            new_end = (await self._reader.ends([_SPOT]))[_SPOT]
            running = older_of(await self._read(end, new_end), of_groups, mine)
        except (TimeoutError, TailUnreadable) as error:
            logger.warning("whether an older release runs is not known: %r", error)
            return
        if running:
            raise OlderReleaseRuns(running)

    def _may_run(self, found: Iterable[OlderProcess], since_ms: int) -> list[OlderProcess]:
        here = socket.gethostname()
        return [
            each
            for each in found
            if each.at_ms >= since_ms and (each.where.host != here or self._lives(each.where.pid))
        ]

    async def _read(self, first: int, end: int) -> Sequence[OlderProcess]:
        found: list[OlderProcess] = []
        await self._reader.read({_SPOT: (first, end)}, lambda message: found.extend(_said(message)))
        return found


def _said(message: Message) -> Iterator[OlderProcess]:
    place, value = where.place_of(message.key() or b""), message.value()
    if place is None or value is None:
        return
    with suppress(InvalidInput):  # written by somebody else: it says nothing about a process
        yield OlderProcess(*place, where.decode(value), int(message.timestamp()[1]))
