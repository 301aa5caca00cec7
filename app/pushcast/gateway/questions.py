"""What is looked up in the topics when somebody asks: why, a user's devices, dead letters. Two at once, in threads."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from confluent_kafka import KafkaException

from pushcast.gateway.access import Caller
from pushcast.gateway.events import checked_user
from pushcast.gateway.http import Answer, Request, answer
from pushcast.gateway.problems import Problem
from pushcast.gateway.records import read_record
from pushcast.gateway.reports import Reports
from pushcast.gateway.why_rows import with_rows
from pushcast.model.words import Lane

logger = logging.getLogger(__name__)

MAX_AT_ONCE: Final = 2
MAX_WAITING: Final = 16
MAX_DELIVERIES: Final = 500  # of one user and notification

Why = Callable[[str, str, str | None], tuple[bool, dict[str, Any]]]
DevicesOf = Callable[[str], list[dict[str, Any]]]
NoteAt = Callable[[str, int, int], tuple[str, str] | None]
Letters = Callable[[int], list[dict[str, Any]]]


class Sources(NamedTuple):
    """Functions that read topics. They block.

    `why`: (user, notification, device) to (whether anything is known, the answer with its evidence).
    `note_at`: (topic, partition, offset) to (user, notification id) of an intake record; None: there is none.
    `timers`: what waits of a user, by when it is due. `redrive`: (`letters.Redrive`, since,
    until) writes dead letters back, or counts them; times are milliseconds since the epoch.
    `preferences`: of a user, by app; those for all apps under the empty name. `progress`: of a broadcast; None: it was
    not spread. `audience`: (broadcast id, lane, offset of the event, whether one partition stands for all) to a count;
    None: it was not counted in time. `broadcasts`: of these lanes. `rehearse`: (lane, user, event, milliseconds) to
    what would become of it.
    `devices`: rows of a user, without addresses. `letters`: dead letters, oldest first, at most so many.
    `reports`: what the reporters know; it does not block.
    """

    why: Why
    devices: DevicesOf
    letters: Letters
    reports: Reports
    note_at: NoteAt
    timers: DevicesOf
    preferences: Callable[[str], dict[str, dict[str, Any]]]
    audience: Callable[[str, Lane, int, bool], dict[str, Any] | None]
    progress: Callable[[str], dict[str, Any] | None]
    redrive: Callable[[Any, int | None, int | None], dict[str, Any]]
    broadcasts: Callable[[Sequence[Lane]], list[dict[str, Any]]]
    rehearse: Callable[[Lane, str, bytes, int], dict[str, Any]]


class Questions:
    """Each reads a partition or more, so few run at once; one too many is told to come back."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._turn = asyncio.Semaphore(MAX_AT_ONCE)
        self._waiting = 0
        self._busy = False

    async def why(self, request: Request, caller: Caller) -> Answer:
        """GET /v1/users/{user}/why?notification=ID[&device=D], or ?record=TOPIC/PARTITION/OFFSET."""
        caller.may_app(None)
        user = checked_user(request.path["user"])
        note = request.query.get("notification", "")
        if record := request.query.get("record"):
            found = await self.ask(self._sources.note_at, *read_record(record))
            if found is None or found[0] != user or note not in ("", found[1]):
                raise Problem("not_found", "there is no such record of the user: it is gone, or was never there")
            note = found[1]
        if not note:
            raise Problem("bad_request", "a parameter notification or record is required: what to ask for")
        device = request.query.get("device")
        (known, found), history = await asyncio.gather(
            self.ask(self._sources.why, user, note, device),
            self._sources.reports.deliveries(user, limit=MAX_DELIVERIES, notes=[note]),
        )
        return answer(200, with_rows(found, known, history, device))

    async def devices(self, request: Request, caller: Caller) -> Answer:
        """GET /v1/users/{user}/devices: without tokens; of the key's apps."""
        rows = await self.ask(self._sources.devices, checked_user(request.path["user"]))
        allowed = caller.key.apps
        return answer(200, {"devices": [row for row in rows if allowed is None or row["app"] in allowed]})

    async def ask(self, source: Callable[..., Any], *arguments: object) -> Any:
        """What a source answers, in its turn. Raises Problem (overloaded, kafka_unavailable)."""
        if self._waiting >= MAX_WAITING:
            raise Problem("overloaded", f"{MAX_WAITING} questions are waiting", headers={"Retry-After": "5"})
        self._waiting += 1
        try:
            async with self._turn:
                return await asyncio.to_thread(source, *arguments)
        except (KafkaException, ConnectionError) as error:
            logger.warning("a question has no answer: %r", error)
            detail = "Kafka did not answer the question"
            raise Problem("kafka_unavailable", detail, headers={"Retry-After": "5"}) from None
        finally:
            self._waiting -= 1

    async def alone(self, source: Callable[..., Any], *arguments: object) -> Any:
        """As `ask`, for what takes long and may not run beside itself. It goes on when nobody waits any more."""
        if self._busy:
            raise Problem("overloaded", "another one is running", headers={"Retry-After": "5"})
        self._busy = True
        running = asyncio.ensure_future(asyncio.to_thread(source, *arguments))
        running.add_done_callback(self._free)
        return await asyncio.shield(running)

    def _free(self, done: asyncio.Future[Any]) -> None:
        self._busy = False
        if not done.cancelled() and (error := done.exception()) is not None:
            logger.warning("a question failed: %r", error)
