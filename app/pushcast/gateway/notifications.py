"""`/v1/notifications`, `/v1/notifications/bulk`, `/v1/notify/{user}`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import orjson

from pushcast.config.rates import rates_of
from pushcast.config.settings import Settings
from pushcast.gateway.access import Caller
from pushcast.gateway.alike import MAX_KNOWN, may_share, split
from pushcast.gateway.bulk import Bulk, Item, items_of, require_type
from pushcast.gateway.events import (
    Decode,
    EventRecord,
    as_event,
    checked_user,
    decoded,
    plain_event,
    read_object,
)
from pushcast.gateway.http import JSON, Answer, PendingAnswer, Request, report_path
from pushcast.gateway.identity import MAX_IDEMPOTENCY_KEY_CHARS, Repeats, Sent, id_maker, sent_of
from pushcast.gateway.problems import FieldError, Problem, refused
from pushcast.gateway.rehearsals import FIELD, NoteRehearsals, asked_of
from pushcast.gateway.sizes import Sizes
from pushcast.gateway.writing import Writer
from pushcast.model.errors import InvalidInput
from pushcast.model.notification import Notification
from pushcast.model.pacing import Rated
from pushcast.model.rate_outlook import RateOutlook, TooSlow
from pushcast.model.timing import Timing
from pushcast.model.words import Lane
from pushcast.stream.ports import Written
from pushcast.wire import topics
from pushcast.wire.control.api_keys import Scope
from pushcast.wire.events.content_sizes import check_size
from pushcast.wire.events.timings import check_spread
from pushcast.wire.times import rfc3339

IDEMPOTENCY_KEY: Final = "idempotency-key"
_TOPICS: Final = {lane: topics.notification(lane) for lane in Lane}


class SharedCheck(NamedTuple):
    """What a notification has that others of its request share."""

    topic: str
    note: Notification


class Checked(NamedTuple):
    """A notification that may be written."""

    event: EventRecord
    note: Notification
    lane: Lane
    replayed: bool
    sent: Sent


class Notifications:
    """Writes notifications. The decoder is PLAN's own."""

    def __init__(
        self,
        settings: Settings,
        decode: Decode,
        writer: Writer,
        repeats: Repeats,
        rehearsals: NoteRehearsals,
        paces: Mapping[str, Rated] | None = None,
    ) -> None:
        """`paces`: of campaigns, by the control topic."""
        self._rates = rates_of(settings, paces)
        self._decode = decode
        self._writer = writer
        self._repeats = repeats
        self._rehearsals = rehearsals
        self._sizes = Sizes(settings)
        self._lanes = {name: rule.lane for name, rule in settings.classes.items()}

    async def send(self, request: Request, caller: Caller) -> Answer:
        """POST /v1/notifications."""
        return await self._writer.ended(self.begin(request, caller))

    def begin(self, request: Request, caller: Caller) -> PendingAnswer:
        """As `send`, without waiting for Kafka. Raises Problem; then nothing is written. With `rehearse: true` nothing
        is written either way."""
        require_type(request, JSON)
        body, raw = read_object(request.body), request.body
        if FIELD not in body:
            return self._begin(request, caller, body, raw)
        asked = asked_of(body, raw)
        if not asked.rehearses:
            return self._begin(request, caller, asked.body, asked.raw)
        caller.may(Scope.HISTORY_READ)  # the answer tells of the user's devices and choices
        event, checked = self._checked(request, caller, asked.body, asked.raw)
        return self._rehearsals.begin(event, checked.note, checked.lane, request.now_ms)

    async def notify(self, request: Request, caller: Caller) -> Answer:
        """POST /v1/notify/{user}: the body is the text."""
        if request.content_type not in ("", "text/plain"):
            raise Problem("unsupported_media_type", "send the text as text/plain, or JSON to /v1/notifications")
        user = checked_user(request.path["user"])
        try:
            text = request.body.decode()
        except UnicodeDecodeError as error:
            raise Problem("bad_request", f"the text is not UTF-8 at byte {error.start}") from None
        fields = {name: request.query[name] for name in ("app", "class", "title") if request.query.get(name)}
        unknown = request.query.keys() - {"app", "class", "title"}
        if unknown:
            raise Problem("bad_request", f"there is no parameter {min(unknown)[:64]}; there are app, class, title")
        body: dict[str, Any] = {"user": user, "body": text, **fields}
        return await self._writer.ended(self._begin(request, caller, body, plain_event(user, "", body).value))

    def _begin(self, request: Request, caller: Caller, body: dict[str, Any], raw: bytes) -> PendingAnswer:
        event, checked = self._checked(request, caller, body, raw)
        self._writer.check()
        topic = _TOPICS[checked.lane]
        future = self._writer.put(topic, event.user, event.value, request.headers_to(topic))
        return PendingAnswer(future, self._writer.ack_seconds, partial(self._end, future, checked, request.now_ms))

    def _checked(
        self, request: Request, caller: Caller, body: dict[str, Any], raw: bytes
    ) -> tuple[EventRecord, Checked]:
        event = as_event(body, raw, id_maker(caller.id, idempotency_key(request), request.now_ms))
        return event, self._check(event, caller, request.now_ms)

    def _end(self, future: asyncio.Future[Written], checked: Checked, now_ms: int) -> Answer:
        written = self._writer.outcome(future)
        self._repeats.remember(checked.sent, now_ms)
        event = checked.event
        said = {
            "id": event.id,
            "user": event.user,
            "record": written.record,
            "lane": checked.lane,
            "expires_at": rfc3339(checked.note.expires_at),
            "replayed": checked.replayed,
            **_warned(self._outlook(checked.note, now_ms)),
        }
        return Answer(202, orjson.dumps(said), {"Location": report_path(event.id, event.user)})

    async def bulk(self, request: Request, caller: Caller) -> Answer:
        """POST /v1/notifications/bulk. With `atomic=true` nothing is written unless all are valid."""
        bulk = self._bulk(request, caller)
        items = bulk.checked(request.items)
        invalid = [(each.index, each.problem) for each in items if each.problem is not None]
        if invalid and _flag(request, "atomic"):
            detail = f"{len(invalid)} of {len(items)} are not valid; nothing was written"
            errors = [FieldError(f"#/notifications/{index}", each.name, str(each)) for index, each in invalid]
            raise Problem("invalid_field", detail, errors=errors)
        await bulk.write(items)
        return bulk.answer()

    def lines(self, request: Request, caller: Caller) -> Bulk | None:
        """POST /v1/notifications/bulk whose lines are taken as they come. None: all must be there before any is."""
        return None if _flag(request, "atomic") else self._bulk(request, caller)

    def _bulk(self, request: Request, caller: Caller) -> Bulk:
        _flag(request, "atomic")  # raises Problem
        key, now_ms = idempotency_key(request), request.now_ms
        known: dict[bytes, SharedCheck] = {}
        outlook = RateOutlook(self._rates, now_ms) if self._rates else None

        def check(index: int, raw: bytes) -> Item:
            return self._item(index, raw, known, caller, key, now_ms)

        def written(items: Sequence[Item]) -> None:
            for item in items:
                if item.problem is None and item.sent is not None and item.note is not None:
                    self._repeats.remember(item.sent, now_ms)
                    if outlook is not None:
                        outlook.add(item.note)

        def more() -> dict[str, Any]:
            return {} if outlook is None else _warned(outlook.too_slow())

        return Bulk(self._writer, request, check, written, more)

    def _outlook(self, note: Notification, now_ms: int) -> list[TooSlow]:
        """The rates at which it expires before it may leave."""
        if not self._rates:
            return []
        outlook = RateOutlook(self._rates, now_ms)
        outlook.add(note)
        return outlook.too_slow()

    def _item(
        self, index: int, raw: bytes, known: dict[bytes, SharedCheck], caller: Caller, key: str | None, now_ms: int
    ) -> Item:
        """`known`: what was checked before, by what notifications have in common."""
        item = Item(index)
        parts = split(raw)
        alike = None if parts is None else known.get(parts.rest)
        try:
            if parts is not None and alike is not None:
                item.id, (item.topic, item.note) = parts.id, alike
                item.event = EventRecord(parts.user, parts.id, raw)
                item.sent = self._first(item.event, caller, now_ms)[0]
                return item
            item.event = as_event(read_object(raw), raw, id_maker(caller.id, key, now_ms, index))
            item.id = item.event.id
            checked = self._check(item.event, caller, now_ms)
        except Problem as problem:
            item.problem = problem
            return item
        item.topic, item.sent, item.note = _TOPICS[checked.lane], checked.sent, checked.note
        if parts is not None and len(known) < MAX_KNOWN and may_share(checked.note):
            known[parts.rest] = SharedCheck(item.topic, checked.note)
        return item

    def _check(self, event: EventRecord, caller: Caller, now_ms: int) -> Checked:
        note: Notification = decoded(self._decode, event, now_ms)
        lane = self._lanes[note.klass]
        if note.timing is not None:
            _check_spread(note.timing, lane)
        caller.may_send(note.app, note.klass, lane)
        self._sizes.check(note)
        try:
            check_size(note)  # of an app without platforms, too
        except InvalidInput as error:
            raise refused(error) from None
        sent, replayed = self._first(event, caller, now_ms)
        return Checked(event, note, lane, replayed, sent)

    def _first(self, event: EventRecord, caller: Caller, now_ms: int) -> tuple[Sent, bool]:
        """What is remembered of it, and whether it was sent before. Raises Problem (idempotency_key_reused)."""
        sent = sent_of(caller.id, *event)
        same = self._repeats.seen(sent, now_ms)
        if same is False:
            raise Problem("idempotency_key_reused", "the same id was sent with other content in the last 10 minutes")
        return sent, bool(same)


def notifications_of(request: Request) -> list[bytes]:
    """The notifications of a bulk: its quota pays for each. Raises Problem."""
    return items_of(request, "notifications")


def _check_spread(timing: Timing, lane: Lane) -> None:
    try:
        check_spread(timing, lane)
    except InvalidInput as error:
        raise refused(error) from None


def _warned(too_slow: Sequence[TooSlow]) -> dict[str, Any]:
    """Members of an answer: nothing of what is well."""
    return {"too_slow": [each.to_dict() for each in too_slow]} if too_slow else {}


def idempotency_key(request: Request) -> str | None:
    """The header Idempotency-Key. Raises Problem for one that is empty, too long or not UTF-8."""
    key = request.headers.get(IDEMPOTENCY_KEY)
    if key is None:
        return None
    if not 0 < len(key) <= MAX_IDEMPOTENCY_KEY_CHARS:
        raise Problem("bad_request", f"Idempotency-Key has {len(key)} characters; 1 to {MAX_IDEMPOTENCY_KEY_CHARS}")
    try:
        key.encode()
    except UnicodeEncodeError:  # such bytes come as half surrogates, of which no id can be made
        raise Problem("bad_request", "Idempotency-Key is not UTF-8") from None
    return key


def _flag(request: Request, name: str) -> bool:
    text = request.query.get(name, "false")
    if text not in ("true", "false"):
        raise Problem("bad_request", f"{name} is true or false")
    return text == "true"
