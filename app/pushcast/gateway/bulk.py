"""Many records in one request: each is checked and written by itself, and the worst decides the status."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import orjson

from pushcast.gateway.events import EventRecord, lines_of
from pushcast.gateway.http import JSON, NDJSON, Answer, Request, answer
from pushcast.gateway.identity import Sent
from pushcast.gateway.problems import FieldError, Problem
from pushcast.gateway.reading import MAX_LINES
from pushcast.gateway.writing import UserRecord, Writer
from pushcast.model.notification import Notification
from pushcast.wire.json_errors import UNREADABLE

MAX_ITEMS: Final = 1000
NO_MORE: Final[Mapping[str, Any]] = {}


@dataclass(slots=True)
class Item:
    """One of them on its way: checked (`event` and `topic`), or ended by a problem."""

    index: int
    id: str | None = None
    topic: str = ""
    event: EventRecord | None = None
    problem: Problem | None = None
    sent: Sent | None = None
    note: Notification | None = None  # of a notification, as the others that share its content have it


def require_type(request: Request, *types: str) -> None:
    """Raises Problem (unsupported_media_type). A body without a type is taken for the first."""
    if request.content_type not in ("", *types):
        raise Problem("unsupported_media_type", f"the body is {request.content_type[:64]}; send {' or '.join(types)}")


def items_of(request: Request, field: str) -> list[bytes]:
    """The JSON of each: `{field: […]}` with at most 1,000, or lines of NDJSON, at most 10,000. Raises Problem."""
    require_type(request, JSON, NDJSON)
    if request.content_type == NDJSON:
        found, limit = list(lines_of(request.body)), MAX_LINES
    else:
        found, limit = [bytes(raw) for raw in _array(request.body, field)], MAX_ITEMS
    if len(found) > limit:
        detail = f"{len(found)} {field}; at most {limit:,} in one request"
        raise Problem("invalid_field", detail, errors=[FieldError(f"#/{field}", "invalid_field", detail)])
    return found


def _array(body: bytes, field: str) -> list[msgspec.Raw]:
    try:
        members = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        if members.keys() != {field}:
            raise Problem("bad_request", f'the body is not {{"{field}": […]}}')
        return msgspec.json.decode(members[field], type=list[msgspec.Raw])
    except msgspec.ValidationError:
        raise Problem("bad_request", f'the body is not {{"{field}": […]}}') from None
    except UNREADABLE:
        raise Problem("invalid_json", "the body is not JSON") from None


async def write_all(writer: Writer, items: Sequence[Item], request: Request) -> None:
    """Writes those that are checked; returns when Kafka has confirmed them or the time is over.

    Raises Problem when nothing should be written now; then nothing was.
    """
    writer.check()
    valid = [(item, item.event) for item in items if item.event is not None and item.problem is None]
    records = [UserRecord(item.topic, event.user, event.value) for item, event in valid]
    headers = None
    if request.span is not None:
        counts = Counter(record.topic for record in records)
        headers = {topic: request.headers_to(topic, count) or () for topic, count in counts.items()}
    for place, problem in (await writer.write_all(records, headers)).items():
        valid[place][0].problem = problem


class Bulk:
    """A request with many records. They are taken in groups, and only what was refused is kept of them, until it is
    told."""

    def __init__(
        self,
        writer: Writer,
        request: Request,
        check: Callable[[int, bytes], Item],
        written: Callable[[Sequence[Item]], None] = lambda _: None,
        more: Callable[[], Mapping[str, Any]] = lambda: NO_MORE,
    ) -> None:
        """`check`: reads one, by its place in the request. `written` hears of each group what became of it. `more`:
        members of the answer beside the counts."""
        self._writer = writer
        self._request = request
        self._check = check
        self._written = written
        self._more = more
        self.count = 0  # taken or refused so far
        self._rejected = 0
        self._unknown = 0
        self._refused: list[Item] = []  # and not told yet

    def checked(self, raws: Sequence[bytes]) -> list[Item]:
        """The next ones. Nothing of them is written."""
        return [self._check(place, raw) for place, raw in enumerate(raws, self.count)]

    async def write(self, items: Sequence[Item]) -> None:
        """Those that are checked. Raises Problem when nothing should be written now; then nothing of them was."""
        await write_all(self._writer, items, self._request)
        self.count += len(items)
        self._written(items)
        self._note(items)

    async def take(self, raws: Sequence[bytes]) -> None:
        """Checks and writes. Raises Problem as `write`."""
        await self.write(self.checked(raws))

    def refuse(self, problem: Problem, count: int = 1) -> None:
        """The next ones are not written."""
        self._note([Item(self.count + place, problem=problem) for place in range(count)])
        self.count += count

    def answer(self) -> Answer:
        """What became of them. 202: all confirmed. 207: some are refused. 503: some are not confirmed; they may be
        repeated with the same id."""
        body = {**self._sums(), "results": self._results(), **self._more()}
        return answer(status, body, Retry_After="1") if (status := self._status()) == 503 else answer(status, body)

    def told(self) -> bytes:
        """Lines of JSON: each that was refused since the last call, and the sums so far."""
        return self._lines({"taken": self.count, **self._sums()})

    def last_line(self) -> bytes:
        """As `told`, when there are no more; the status is that of `answer`."""
        return self._lines({"taken": self.count, **self._sums(), "status": self._status(), **self._more()})

    def _note(self, items: Iterable[Item]) -> None:
        for item in items:
            if item.problem is not None:
                self._refused.append(item)
                is_unknown = item.problem.status >= 500
                self._unknown += is_unknown
                self._rejected += not is_unknown

    def _sums(self) -> dict[str, int]:
        accepted = self.count - self._rejected - self._unknown
        return {"accepted": accepted, "rejected": self._rejected, "unknown": self._unknown}

    def _status(self) -> int:
        return 503 if self._unknown else 207 if self._rejected else 202

    def _lines(self, sums: Mapping[str, Any]) -> bytes:
        return b"".join(orjson.dumps(each) + b"\n" for each in (*self._results(), sums))

    def _results(self) -> list[dict[str, Any]]:
        refused, self._refused = self._refused, []
        return [
            {"index": each.index, "id": each.id, "status": problem.status, "problem": problem.members()}
            for each in refused
            if (problem := each.problem) is not None
        ]
