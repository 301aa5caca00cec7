"""`/v1/examples`: single deliveries that ended in one way, of a report, a campaign or an app."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from pushcast.gateway.access import Caller
from pushcast.gateway.http import Answer, Request, answer
from pushcast.gateway.problems import Problem
from pushcast.gateway.reports import Reports, limit_of
from pushcast.model.words import Outcome, Platform
from pushcast.wire.control.examples import MAX_EXAMPLES, ExampleFilter
from pushcast.wire.times import to_ms

DEFAULT_LIMIT: Final = 20
_DAY_MS: Final = 86_400_000
#: How far back an app is looked through, as lists of reports reach.
_SPAN_MS: Final = 7 * _DAY_MS
_MAX_DIGITS: Final = 12
#: Of a campaign, the newest ones.
MAX_REPORTS: Final = 500
SUBJECTS: Final = ("report", "campaign", "app")


class _Subject(NamedTuple):
    """Of what. `ids`: of notifications and broadcasts; none: of everything."""

    ids: list[str]
    from_ms: int
    to_ms: int


class ExampleCalls:
    """A key that is for some apps sees deliveries of those apps only."""

    def __init__(self, reports: Reports) -> None:
        self._reports = reports

    async def find(self, request: Request, caller: Caller) -> Answer:
        """GET /v1/examples?report=ID|campaign=NAME|app=APP[&reason=][&outcome=][&platform=]
        [&slower_than_ms=][&limit=]."""
        query = request.query
        given = [name for name in SUBJECTS if query.get(name)]
        if len(given) != 1:
            raise Problem("bad_request", f"one parameter of {', '.join(SUBJECTS)} is required")
        app = query["app"] if given == ["app"] else None
        if app is not None:
            caller.may_app(app)
        subject = await self._subject(given[0], query[given[0]], request.now_ms)
        if subject is None:
            raise Problem("not_found", "nothing is known of it: it is unknown, too old, or not yet planned")
        wanted = ExampleFilter(
            subject.from_ms,
            subject.to_ms,
            subject.ids,
            [app] if app is not None else None if caller.key.apps is None else sorted(caller.key.apps),
            _one_of(query, "platform", Platform),
            _one_of(query, "outcome", Outcome),
            query.get("reason") or None,
            _milliseconds(query, "slower_than_ms"),
        )
        limit = limit_of(query, DEFAULT_LIMIT, MAX_EXAMPLES)
        return answer(200, await self._reports.examples(wanted, limit))

    async def _subject(self, kind: str, name: str, now_ms: int) -> _Subject | None:
        if kind == "app":
            return _Subject([], now_ms - _SPAN_MS, now_ms + _DAY_MS)
        if kind == "report":
            report = await self._reports.report(name)
            found = [] if report is None else [report]
        else:
            listed = await self._reports.listed(
                from_ms=None, to_ms=None, limit=MAX_REPORTS, cursor=None, wanted=lambda each: each["campaign"] == name
            )
            found = listed["reports"]
            if not found and listed["missing_partitions"]:
                raise Problem("reports_unavailable", "not every reporter answers, and the others know nothing of it")
        if not found:
            return None
        since = [at for each in found if (at := _ms(each.get("created_at"))) is not None]
        until = [at for each in found if (at := _ms(each.get("last_ended_at"))) is not None]
        # Of a broadcast, deliveries are created before its walk has begun.
        from_ms = min(since, default=now_ms - _SPAN_MS) - _DAY_MS
        return _Subject([each["id"] for each in found], from_ms, max(until, default=now_ms))


def _milliseconds(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name)
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > _MAX_DIGITS:
        raise Problem("bad_request", f"{name} is a number of milliseconds")
    return int(text)


def _ms(text: str | None) -> int | None:
    return None if text is None else to_ms(text, "time", 0)


def _one_of(query: Mapping[str, str], name: str, words: Iterable[Any]) -> str | None:
    text = query.get(name)
    known = [str(word) for word in words]
    if text and text not in known:
        raise Problem("bad_request", f"{name} is one of {', '.join(known)}")
    return text or None
