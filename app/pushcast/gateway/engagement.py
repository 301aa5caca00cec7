"""`/v1/engagement`, `/v1/me/engagement`: what apps tell of their users' pushes."""

from __future__ import annotations

from typing import Any, Final

from pushcast.gateway.access import Caller
from pushcast.gateway.anonymous import ANONYMOUS, UNPROVEN, not_yours
from pushcast.gateway.bulk import Item, require_type, write_all
from pushcast.gateway.events import (
    Decode,
    EventRecord,
    checked_form,
    checked_user,
    decoded,
    plain_event,
    read_object,
    user_in,
)
from pushcast.gateway.http import JSON, Answer, Request, answer
from pushcast.gateway.problems import FieldError, Problem
from pushcast.gateway.writing import Writer
from pushcast.wire import topics
from pushcast.wire.events.engagement import Engagement

MAX_EVENTS: Final = 100
#: What is said once for all events.
_SHARED: Final[tuple[str, ...]] = ("app", "device")


class Engagements:
    """Writes events; the decoder is the stages' own. Nothing is written unless all are valid, and all may be repeated:
    the first time of each counts."""

    def __init__(self, decode: Decode, writer: Writer) -> None:
        self._decode = decode
        self._writer = writer

    async def tell(self, request: Request, caller: Caller) -> Answer:
        """POST /v1/engagement, or /v1/me/engagement where user and app follow from who asks."""
        require_type(request, JSON)
        body = read_object(request.body)
        if request.path.get(ANONYMOUS) == UNPROVEN:
            raise not_yours()
        of_the_path = {name: request.path[name] for name in ("user", *_SHARED) if name in request.path}
        for name, value in of_the_path.items():
            if name in body and body[name] != value:
                raise _refused(f"#/{name}", f"{name} differs from that of who asks")
        body |= of_the_path
        if unknown := body.keys() - {"user", "events", *_SHARED}:
            raise Problem("unknown_field", f"there is no field {min(unknown)[:64]}")
        if ANONYMOUS in request.path:
            user = checked_form(of_the_path["user"])
        else:
            user = checked_user(of_the_path["user"]) if of_the_path else user_in(body)
        items = self._items(user, body, caller, request.now_ms)
        await write_all(self._writer, items, request)
        for item in items:
            if item.problem is not None:
                raise item.problem
        return answer(202, {"user": user, "accepted": len(items)})

    def _items(self, user: str, body: dict[str, Any], caller: Caller, now_ms: int) -> list[Item]:
        events = body.get("events")
        if not isinstance(events, list) or not 1 <= len(events) <= MAX_EVENTS:
            raise _refused("#/events", f"events is an array of 1 to {MAX_EVENTS}")
        shared = {name: body[name] for name in _SHARED if name in body}
        items: list[Item] = []
        errors: list[FieldError] = []
        for index, each in enumerate(events):
            try:
                event = _event(user, shared, each)
                told: Engagement = decoded(self._decode, event, now_ms)
                caller.may_app(told.app)
                items.append(Item(index, topic=topics.ENGAGEMENT, event=event))
            except Problem as problem:
                if problem.status != 422:
                    raise
                errors += [
                    found._replace(pointer=f"#/events/{index}{found.pointer.removeprefix('#')}")
                    for found in problem.errors
                ]
        if errors:
            raise Problem("invalid_field", f"{len(errors)} of {len(events)} events are not valid", errors=errors)
        return items


def _event(user: str, shared: dict[str, Any], each: object) -> EventRecord:
    """As a record. `notification` stands for `ids` with one."""
    if not isinstance(each, dict):
        raise _refused("#", "an event is an object")
    fields = {**shared, **each}
    if "notification" in fields:
        if "ids" in fields:
            raise _refused("#/ids", "notification and ids say the same: send one of them")
        fields["ids"] = [fields.pop("notification")]
    return plain_event(user, "", fields)


def _refused(pointer: str, detail: str) -> Problem:
    return Problem("invalid_field", detail, errors=[FieldError(pointer, "invalid_field", detail)])
