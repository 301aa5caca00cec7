"""Looks at the other processes: their figures every 5 s, their health and their groups when somebody asks."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, Generic, NamedTuple, TypeVar

import orjson

from pushcast.console.figures import STEP_SECONDS, DeliveryRates, ProcessFigures, read_figures
from pushcast.model.errors import PushcastError

logger = logging.getLogger(__name__)

FETCH_SECONDS: Final = 2.0
#: Groups are asked for at most so often, however many look: it takes the broker's time.
STANDING_SECONDS: Final = 5.0

T = TypeVar("T")
#: A URL to its status and body; raises OSError without an answer.
Fetch = Callable[[str], Awaitable[tuple[int, bytes]]]
#: How every group stands, as `pushcast status --output json` has it; raises PushcastError or OSError.
Standing = Callable[[], Awaitable[dict[str, Any]]]


class Process(NamedTuple):
    """Of ours, with a private page. `key`: no other process has it."""

    name: str
    url: str
    key: str


class Health(NamedTuple):
    """`state`: ok, degraded, failing, or silent. `problems`: one sentence each. `slot`: its name in its groups, if it
    has one. `figures`: of a moment ago; None: it told none."""

    name: str
    url: str
    state: str
    version: str
    problems: list[str]
    slot: str | None = None
    figures: ProcessFigures | None = None


class RecentAnswer(Generic[T]):
    """What `make` returned a moment ago: many who ask at once cost one call. A failure is told to all of them."""

    def __init__(self, make: Callable[[], Awaitable[T]], seconds: float, clock: Callable[[], float] = time.monotonic):
        self._make = make
        self._seconds = seconds
        self._clock = clock
        self._task: asyncio.Task[T] | None = None
        self._done_at = 0.0

    async def get(self) -> T:
        """Raises what `make` raised."""
        task = self._task
        if task is None or (task.done() and self._clock() - self._done_at >= self._seconds):
            task = self._task = asyncio.ensure_future(self._run())
        return await asyncio.shield(task)

    async def _run(self) -> T:
        try:
            return await self._make()
        finally:
            self._done_at = self._clock()


class Watch:
    """`processes`: those that are known now. Create it on the loop; `run` until it is cancelled."""

    def __init__(
        self,
        processes: Callable[[], list[Process]],
        fetch: Fetch,
        standing: Standing,
        now_ms: Callable[[], int],
    ) -> None:
        self._processes = processes
        self._fetch = fetch
        self._now_ms = now_ms
        self._standing = RecentAnswer(standing, STANDING_SECONDS)
        self.rates = DeliveryRates()
        self.figures: dict[str, ProcessFigures] = {}

    async def run(self) -> None:
        """Looks at every process again and again."""
        while True:
            await self.look()
            await asyncio.sleep(STEP_SECONDS)

    async def look(self) -> None:
        """Once. A process that does not answer is left out."""
        known = await asyncio.to_thread(self._processes)
        found = await asyncio.gather(*(self._read(each) for each in known))
        self.figures = {each.key: figures for each, figures in zip(known, found, strict=True) if figures is not None}
        self.rates.add(self._now_ms(), self.figures)

    async def standing(self) -> dict[str, Any] | None:
        """Groups, lags and dead letters of a moment ago. None: the cluster does not answer."""
        try:
            return await self._standing.get()
        except (PushcastError, OSError) as error:
            logger.warning("how the groups stand is not known: %s", error)
            return None

    async def health(self) -> list[Health]:
        """Every process, asked now."""
        known = await asyncio.to_thread(self._processes)
        return list(await asyncio.gather(*(self._ask(each) for each in known)))

    async def _read(self, process: Process) -> ProcessFigures | None:
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                status, body = await self._fetch(f"{process.url}/metrics")
            return read_figures(body.decode()) if status == 200 else None
        except (OSError, TimeoutError, ValueError) as error:
            logger.debug("%s tells no figures: %r", process.name, error)
            return None

    async def _ask(self, process: Process) -> Health:
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                (_, ready), (_, info) = await asyncio.gather(
                    self._fetch(f"{process.url}/health/ready"), self._fetch(f"{process.url}/_info")
                )
            told, about = orjson.loads(ready), orjson.loads(info)
            figures = self.figures.get(process.key)
            return Health(
                process.name,
                process.url,
                told["status"],
                about.get("version", ""),
                told["problems"],
                about.get("slot"),
                figures,
            )
        except TimeoutError:
            return _silent(process, f"it does not answer within {FETCH_SECONDS:g} s")
        except OSError as error:
            return _silent(process, f"it does not answer: {error}")
        except (ValueError, KeyError, TypeError, AttributeError):
            return _silent(process, "what it answers is no page of a process")


def _silent(process: Process, problem: str) -> Health:
    return Health(process.name, process.url, "silent", "", [problem])
