"""`/v1/broadcasts`: one event for every device of an audience."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final

import orjson

from pushcast.gateway.access import Caller
from pushcast.gateway.bulk import require_type
from pushcast.gateway.events import EventRecord, as_broadcast, read_object
from pushcast.gateway.http import JSON, Answer, Request, answer, report_path
from pushcast.gateway.identity import id_maker
from pushcast.gateway.notifications import idempotency_key
from pushcast.gateway.problems import Problem, refused
from pushcast.gateway.questions import Questions, Sources
from pushcast.gateway.rehearsals import RATE_MS, asked_of, expected_seconds, present_rate, sizes_of
from pushcast.gateway.sizes import Sizes
from pushcast.gateway.writing import Writer
from pushcast.model.broadcast import Broadcast
from pushcast.model.errors import InvalidInput
from pushcast.model.words import Lane
from pushcast.wire import topics
from pushcast.wire.control.control import Halt, Kind, Name, encode
from pushcast.wire.control.control_state import ControlState
from pushcast.wire.keys import check_id
from pushcast.wire.times import rfc3339

#: What is added to a quick count before it is held against a key's largest audience.
QUICK_ERROR: Final = 0.03
_PARTITION: Final = 0  # a broadcast's topic has one
#: Of stop and hold: longer than any broadcast lives.
_HALT_MS: Final = 8 * 86_400_000

#: (record key, value, milliseconds) to the broadcast; raises InvalidInput.
Decode = Callable[[bytes | None, bytes, int], Broadcast]


class Broadcasts:
    """The decoder is SPREAD's own."""

    def __init__(
        self,
        decode: Decode,
        lanes: Mapping[str, Lane],
        writer: Writer,
        questions: Questions,
        sources: Sources,
        sizes: Sizes,
        control: ControlState,
    ) -> None:
        """`control` follows push.control.v1."""
        self._decode = decode
        self._lanes = lanes
        self._writer = writer
        self._questions = questions
        self._sources = sources
        self._sizes = sizes
        self._control = control

    async def send(self, request: Request, caller: Caller) -> Answer:
        """POST /v1/broadcasts: the body is the event. With `rehearse: true` it is counted and measured, not sent."""
        require_type(request, JSON)
        asked = asked_of(read_object(request.body), request.body)
        event, broadcast, lane = self._checked(request, caller, asked.body, asked.raw, idempotency_key(request))
        if asked.rehearses:
            return answer(200, await self._rehearsed(event, broadcast, lane, request.now_ms))
        note = broadcast.note
        if (largest := caller.key.max_audience) is not None:
            await self._check_size(event, lane, largest)
        self._writer.check()
        topic = topics.broadcast(lane)
        future = self._writer.put_at(topic, _PARTITION, event.id.encode(), event.value, request.headers_to(topic))
        written = await self._writer.confirmed(future)
        return answer(
            202,
            {"id": event.id, "record": written.record, "lane": lane, "expires_at": rfc3339(note.expires_at)},
            Location=report_path(event.id),
        )

    async def count(self, request: Request, caller: Caller) -> Answer:
        """POST /v1/broadcasts/count[?quick=true]: how many devices the broadcast in the body would reach."""
        require_type(request, JSON)
        quick = request.query.get("quick", "false")
        if quick not in ("true", "false"):
            raise Problem("bad_request", "quick is true or false")
        asked = asked_of(read_object(request.body), request.body)  # a count is a rehearsal anyway
        event, _, lane = self._checked(request, caller, asked.body, asked.raw, None)
        return answer(200, {"id": event.id, **await self._counted(event, lane, quick == "true")})

    def _checked(
        self, request: Request, caller: Caller, body: dict[str, Any], raw: bytes, key: str | None
    ) -> tuple[EventRecord, Broadcast, Lane]:
        """Raises Problem."""
        event = as_broadcast(body, raw, id_maker(caller.id, key, request.now_ms))
        try:
            broadcast = self._decode(event.id.encode(), event.value, request.now_ms)
        except InvalidInput as error:
            raise refused(error) from None
        lane = self._lanes[broadcast.note.klass]
        caller.may_send(broadcast.app, broadcast.note.klass, lane)
        _may_reach(caller, body.get("audience"))
        return event, broadcast, lane

    async def _rehearsed(self, event: EventRecord, broadcast: Broadcast, lane: Lane, now_ms: int) -> dict[str, Any]:
        counted, totals = await asyncio.gather(
            self._counted(event, lane, False), self._sources.reports.totals(from_ms=now_ms - RATE_MS)
        )
        rate, waits = present_rate(totals), sum(step.wait_seconds for step in broadcast.steps[:-1])
        return {
            "id": event.id,
            "lane": lane,
            "rehearsed": True,
            **counted,
            "sizes": sizes_of(self._sizes, broadcast.note),
            "accepted_per_second": rate,
            "expected_seconds": expected_seconds(counted["devices"], rate, broadcast.pace, waits),
        }

    async def list(self, request: Request, caller: Caller) -> Answer:
        """GET /v1/broadcasts[?lane=]: those of the last 7 days, counts and duplicates among them."""
        caller.may_app(None)
        lane = request.query.get("lane")
        if lane is not None and lane not in tuple(Lane):
            raise Problem("bad_request", f"lane is one of {', '.join(Lane)}")
        found = await self._questions.ask(self._sources.broadcasts, tuple(Lane) if lane is None else (Lane(lane),))
        return answer(200, {"broadcasts": found})

    async def status(self, request: Request, caller: Caller) -> Answer:
        """GET /v1/broadcasts/{id}: how far it has come."""
        caller.may_app(None)
        found = await self._questions.ask(self._sources.progress, request.path["id"])
        if found is None:
            raise Problem("not_found", "no broadcast of this id was spread within the last 7 days")
        return answer(200, found)

    async def _check_size(self, event: EventRecord, lane: Lane, largest: int) -> None:
        """Raises Problem (audience_too_large) when a quick count and its error are above the key's largest audience."""
        found = await self._counted(event, lane, True)
        if found["devices"] * (1 + QUICK_ERROR) > largest:
            detail = f"about {found['devices']:,} devices; the key may reach {largest:,}"
            raise Problem("audience_too_large", detail)

    async def _counted(self, event: EventRecord, lane: Lane, quick: bool) -> dict[str, Any]:
        fields = {**orjson.loads(event.value), "count_only": True, "quick": quick}
        fields.pop("pace", None)
        self._writer.check()
        future = self._writer.put_at(topics.broadcast(lane), _PARTITION, event.id.encode(), orjson.dumps(fields))
        written = await self._writer.confirmed(future)
        found: dict[str, Any] | None = await self._questions.ask(
            self._sources.audience, event.id, lane, written.offset, quick
        )
        if found is None:
            raise Problem("count_unavailable", "the audience was not counted in time", headers={"Retry-After": "5"})
        return found

    async def stop(self, request: Request, caller: Caller) -> Answer:
        """DELETE /v1/broadcasts/{id}: what has not left ends as `cancelled`."""
        return await self._halt(Kind.STOP, request, caller, on=True)

    async def hold(self, request: Request, caller: Caller) -> Answer:
        """PUT /v1/broadcasts/{id}/hold: nothing more leaves until it is released."""
        return await self._halt(Kind.HOLD, request, caller, on=True)

    async def resume(self, request: Request, caller: Caller) -> Answer:
        """DELETE /v1/broadcasts/{id}/hold."""
        return await self._halt(Kind.HOLD, request, caller, on=False)

    async def _halt(self, kind: Kind, request: Request, caller: Caller, *, on: bool) -> Answer:
        caller.may_app(None)
        try:
            name = Name(kind, check_id(request.path["id"], "id"))
            if on:
                self._control.check_room(name)
        except InvalidInput as error:
            raise refused(error) from None
        halt = Halt(request.now_ms, request.now_ms + _HALT_MS, f"key {caller.id}") if on else None
        self._writer.check()
        value = None if halt is None else encode(halt)
        await self._writer.confirmed(self._writer.put_at(topics.CONTROL, _PARTITION, name.key(), value))
        return answer(202, {"id": name.name, str(kind): on})


def _may_reach(caller: Caller, audience: Any) -> None:
    """Raises Problem for an audience that the key may not reach."""
    if caller.key.topics is None:
        return
    asked = audience.get("topics") if isinstance(audience, dict) and audience.keys() == {"topics"} else None
    if not asked:
        raise Problem("topic_not_allowed", "the key is for some topics; the audience must be {topics: […]} of them")
    for topic in asked:
        if not any(fnmatchcase(topic, allowed) for allowed in caller.key.topics):
            raise Problem("topic_not_allowed", f"the key is not for the topic {topic[:64]}")
