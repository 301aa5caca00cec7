"""`/v1/users/{user}/devices/{app}/{device}`, `/v1/users/{user}`, `/v1/devices/bulk`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from pushcast.gateway.access import Caller
from pushcast.gateway.anonymous import ANONYMOUS, UNPROVEN, AnonymousDevices, not_yours
from pushcast.gateway.bulk import Bulk, Item, items_of
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
from pushcast.gateway.http import Answer, Request, answer
from pushcast.gateway.notifications import idempotency_key
from pushcast.gateway.problems import FieldError, Problem
from pushcast.gateway.questions import Questions, Sources
from pushcast.gateway.writing import Writer
from pushcast.model.device import DeviceChange, Operation
from pushcast.wire import topics

#: What the path says, and may not be said again otherwise.
_NOTHING: Final[Mapping[str, str]] = {}
_OF_THE_PATH: Final = ("user", "app", "device", "op")


class Devices:
    """Writes device changes. The decoder is REGISTER's own."""

    def __init__(
        self, decode: Decode, writer: Writer, anonymous: AnonymousDevices, questions: Questions, sources: Sources
    ) -> None:
        self._decode = decode
        self._writer = writer
        self._anonymous = anonymous
        self._questions = questions
        self._sources = sources

    async def put(self, request: Request, caller: Caller) -> Answer:
        """PUT /v1/users/{user}/devices/{app}/{device}: registers the device, or refreshes it."""
        body = read_object(request.body)
        for name in _OF_THE_PATH:
            if name in body and body[name] != request.path.get(name, Operation.REGISTER):
                detail = f"{name} differs from the path"
                raise Problem("invalid_field", detail, errors=[FieldError(f"#/{name}", "invalid_field", detail)])
        if request.path.get(ANONYMOUS) == UNPROVEN:
            return await self._first(request, caller, body)
        return await self._write(request, caller, body | {"op": Operation.REGISTER})

    async def _first(self, request: Request, caller: Caller, body: dict[str, Any]) -> Answer:
        """The first registration of a device without a user: the answer has its secret. So has a problem that leaves
        open whether it was written, and the answer to a repeat with the same Idempotency-Key: the client that never
        learns it could do nothing with its device any more."""
        app, device, attempt = request.path["app"], request.path["device"], idempotency_key(request)
        if not self._anonymous.repeats(app, device, attempt):
            rows = await self._questions.ask(self._sources.devices, request.path["user"])
            if self._anonymous.remembers(app, device) or any(row["app"] == app for row in rows):
                raise not_yours()
        self._anonymous.remember(app, device, attempt)
        secret = {"secret": self._anonymous.secret_of(app, device)}
        try:
            return await self._write(request, caller, body | {"op": Operation.REGISTER}, secret)
        except BaseException as error:
            late = isinstance(error, Problem) and error.name == "ack_timeout"
            if attempt is None or not (late or isinstance(error, asyncio.CancelledError)):
                self._anonymous.forget(app, device)  # it may come again, as far as this process knows
            if isinstance(error, Problem) and late:
                error.more |= secret
            raise

    async def delete(self, request: Request, caller: Caller) -> Answer:
        """DELETE /v1/users/{user}/devices/{app}/{device}: logs the device out."""
        if request.path.get(ANONYMOUS) == UNPROVEN:
            raise not_yours()
        return await self._write(request, caller, {"op": Operation.UNREGISTER})

    async def forget(self, request: Request, caller: Caller) -> Answer:
        """DELETE /v1/users/{user}: all of the user's devices, in all apps."""
        caller.may_app(None)
        return await self._write(request, caller, {"op": Operation.FORGET_USER})

    async def _write(
        self, request: Request, caller: Caller, fields: dict[str, Any], more: Mapping[str, str] = _NOTHING
    ) -> Answer:
        user = request.path["user"]
        # No client gives a user in the path of an anonymous call: it follows from the device.
        user = checked_form(user) if ANONYMOUS in request.path else checked_user(user)
        where = {name: request.path[name] for name in ("app", "device") if name in request.path}
        event = plain_event(user, where.get("device", ""), {**fields, **where})
        change: DeviceChange = decoded(self._decode, event, request.now_ms)
        if where:
            caller.may_app(where["app"])
        self._writer.check()
        written = await self._writer.confirmed(self._writer.put(topics.DEVICE_CHANGED, user, event.value))
        said = {"user": user, **where, "record": written.record, **more}
        return answer(202, said if change.topics is None else said | {"topics": list(change.topics)})

    async def bulk(self, request: Request, caller: Caller) -> Answer:
        """POST /v1/devices/bulk: objects as `pushcast device import` takes them."""
        bulk = self.lines(request, caller)
        await bulk.take(items_of(request, "devices"))
        return bulk.answer()

    def lines(self, request: Request, caller: Caller) -> Bulk:
        """POST /v1/devices/bulk whose lines are taken as they come."""
        return Bulk(self._writer, request, lambda index, raw: self._item(index, raw, caller, request.now_ms))

    def _item(self, index: int, raw: bytes, caller: Caller, now_ms: int) -> Item:
        item = Item(index, topic=topics.DEVICE_CHANGED)
        try:
            body = read_object(raw)
            item.id = str(body.get("device", ""))
            event = EventRecord(user_in(body), item.id, raw)
            change: DeviceChange = decoded(self._decode, event, now_ms)
            caller.may_app(change.app or None)
            item.event = event
        except Problem as problem:
            item.problem = problem
        return item
