"""`/v1/broadcasts`: one event for every device of an audience."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final

from pushcast.gateway.access import Caller
from pushcast.gateway.bulk import require_type
from pushcast.gateway.events import as_broadcast, read_object
from pushcast.gateway.http import JSON, Answer, Request, answer
from pushcast.gateway.identity import derived_id, fresh_id
from pushcast.gateway.notifications import idempotency_key
from pushcast.gateway.problems import Problem, refused
from pushcast.gateway.writing import Writer
from pushcast.model.broadcast import Broadcast
from pushcast.model.errors import InvalidInput
from pushcast.model.words import Lane
from pushcast.wire import topics
from pushcast.wire.control import Halt, Kind, Name, encode
from pushcast.wire.keys import check_id
from pushcast.wire.times import rfc3339

_PARTITION: Final = 0  # a broadcast's topic has one
#: Of stop and hold: longer than any broadcast lives.
_HALT_MS: Final = 8 * 86_400_000

#: (record key, value, milliseconds) to the broadcast; raises InvalidInput.
Decode = Callable[[bytes | None, bytes, int], Broadcast]


class Broadcasts:
    """The decoder is SPREAD's own."""

    def __init__(self, decode: Decode, lanes: Mapping[str, Lane], writer: Writer) -> None:
        self._decode = decode
        self._lanes = lanes
        self._writer = writer

    async def send(self, request: Request, caller: Caller) -> Answer:
        """POST /v1/broadcasts: the body is the event."""
        require_type(request, JSON)
        body = read_object(request.body)
        key = idempotency_key(request)
        name = fresh_id(request.now_ms) if key is None else derived_id(caller.id, key)
        event = as_broadcast(body, request.body, name)
        try:
            broadcast = self._decode(event.id.encode(), event.value, request.now_ms)
        except InvalidInput as error:
            raise refused(error) from None
        note = broadcast.note
        lane = self._lanes[note.klass]
        caller.may_send(broadcast.app, note.klass, lane)
        _may_reach(caller, body.get("audience"))
        self._writer.check()
        future = self._writer.put_at(topics.broadcast(lane), _PARTITION, event.id.encode(), event.value)
        written = await self._writer.confirmed(future)
        return answer(
            202,
            {"id": event.id, "record": written.record, "lane": lane, "expires_at": rfc3339(note.expires_at)},
            Location=f"/v1/reports/{event.id}",
        )

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
        except InvalidInput as error:
            raise refused(error) from None
        halt = Halt(request.now_ms, request.now_ms + _HALT_MS, f"key {caller.id}") if on else None
        self._writer.check()
        value = None if halt is None else encode(halt)
        await self._writer.confirmed(self._writer.put_at(topics.CONTROL, _PARTITION, name.key(), value))
        return answer(202, {"id": name.name, str(kind): on})


def _may_reach(caller: Caller, audience: Any) -> None:
    """Raises Problem for an audience that the key may not reach."""
    if caller.key.max_audience is not None:
        raise Problem("not_yet_available", "the key has a largest audience, which this release cannot count beforehand")
    if caller.key.topics is None:
        return
    asked = audience.get("topics") if isinstance(audience, dict) and audience.keys() == {"topics"} else None
    if not asked:
        raise Problem("topic_not_allowed", "the key is for some topics; the audience must be {topics: […]} of them")
    for topic in asked:
        if not any(fnmatchcase(topic, allowed) for allowed in caller.key.topics):
            raise Problem("topic_not_allowed", f"the key is not for the topic {topic[:64]}")
