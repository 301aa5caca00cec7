"""Many records in one request: each is checked and written by itself, and the worst decides the status."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from pushcast.gateway.events import EventRecord, lines_of
from pushcast.gateway.http import JSON, NDJSON, Answer, Request, answer
from pushcast.gateway.identity import Sent
from pushcast.gateway.problems import FieldError, Problem
from pushcast.gateway.reading import MAX_LINES
from pushcast.gateway.writing import UserRecord, Writer
from pushcast.model.notification import Notification

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
    except (msgspec.DecodeError, RecursionError):
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
    """A request with many records. They are taken in groups, and only what was refused is kept of them."""

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
        self._problems: list[Item] = []

    def checked(self, raws: Sequence[bytes]) -> list[Item]:
        """The next ones. Nothing of them is written."""
        return [self._check(place, raw) for place, raw in enumerate(raws, self.count)]

    async def write(self, items: Sequence[Item]) -> None:
        """Those that are checked. Raises Problem when nothing should be written now; then nothing of them was."""
        await write_all(self._writer, items, self._request)
        self.count += len(items)
        self._written(items)
        self._problems += [item for item in items if item.problem is not None]

    async def take(self, raws: Sequence[bytes]) -> None:
        """Checks and writes. Raises Problem as `write`."""
        await self.write(self.checked(raws))

    def refuse(self, problem: Problem, count: int = 1) -> None:
        """The next ones are not written."""
        self._problems += [Item(self.count + place, problem=problem) for place in range(count)]
        self.count += count

    def answer(self) -> Answer:
        """What became of them."""
        return bulk_answer(self.count, self._problems, self._more())


def bulk_answer(count: int, refused: Sequence[Item], more: Mapping[str, Any] = NO_MORE) -> Answer:
    """202: all confirmed. 207: some are refused. 503: some are not confirmed; they may be repeated with the same id.
    `more`: members beside the counts."""
    problems = [(item, item.problem) for item in refused if item.problem is not None]
    unknown = sum(1 for _, problem in problems if problem.status >= 500)
    body: dict[str, Any] = {
        "accepted": count - len(problems),
        "rejected": len(problems) - unknown,
        "unknown": unknown,
        "results": [
            {"index": item.index, "id": _shown(item.id), "status": problem.status, "problem": problem.members()}
            for item, problem in problems
        ],
        **more,
    }
    return answer(503, body, Retry_After="1") if unknown else answer(207 if problems else 202, body)


def _shown(found: str | None) -> str | None:
    """An id that was refused may be no Unicode text, and no answer could be written with it."""
    return None if found is None else found.encode(errors="replace").decode()
