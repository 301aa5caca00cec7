"""`/v1/reports` and `/v1/users/{user}/deliveries`: what the reporters know."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, Protocol
from urllib.parse import quote, urlencode

from pushcast.gateway.access import Caller
from pushcast.gateway.events import checked_user
from pushcast.gateway.http import Answer, Request, answer
from pushcast.gateway.problems import Problem, refused
from pushcast.gateway.records import read_record
from pushcast.model.errors import InvalidInput
from pushcast.model.words import Lane, Outcome
from pushcast.wire import topics
from pushcast.wire.control.examples import ExampleFilter
from pushcast.wire.times import to_ms

MAX_LIMIT: Final = 500
DEFAULT_LIMIT: Final = 50
STATES: Final = ("sending", "settled", "overdue", "held")
_LANES: Final = {topics.notification(lane): str(lane) for lane in Lane}
FILTERS: Final = ("app", "class", "dry_run", "state", "campaign")


class Reports(Protocol):
    """What it needs of `report.coordinator.Coordinator`."""

    async def report(self, note_id: str) -> dict[str, Any] | None: ...
    async def listed(
        self,
        *,
        from_ms: int | None,
        to_ms: int | None,
        limit: int,
        cursor: str | None,
        wanted: Callable[[dict[str, Any]], bool],
    ) -> dict[str, Any]: ...
    async def deliveries(
        self,
        user: str,
        *,
        limit: int,
        cursor: str | None = None,
        app: str | None = None,
        outcome: str | None = None,
        notes: Sequence[str] = (),
    ) -> dict[str, Any] | None: ...
    async def report_of_user(
        self, note_id: str, user: str, apps: Collection[str] | None = None
    ) -> dict[str, Any] | None: ...
    async def campaign(self, label: str) -> dict[str, Any]: ...
    async def totals(self, *, from_ms: int) -> dict[str, Any]: ...
    async def caught_up(self, lane: str, partition: int, offset: int) -> bool: ...
    async def examples(self, wanted: ExampleFilter, limit: int) -> dict[str, Any]: ...


class ReportCalls:
    """A key that is for some apps sees reports of those apps only."""

    def __init__(self, reports: Reports) -> None:
        self._reports = reports

    async def show(self, request: Request, caller: Caller) -> Answer:
        """GET /v1/reports/{id}: of a notification or broadcast. `?user=`: of what this user got of it."""
        await self._wait(request.query)
        user = request.query.get("user")
        if user is None:
            found = await self._reports.report(request.path["id"])
        else:
            found = await self._reports.report_of_user(request.path["id"], checked_user(user), caller.key.apps)
        if found is None or not _allowed(found, caller):
            raise Problem("not_found", "nothing is known of this id: it is unknown, too old, or not yet planned")
        return answer(200, found)

    async def list(self, request: Request, caller: Caller) -> Answer:
        """GET /v1/reports: newest first, of the last 7 days, without dry runs, unless the query says otherwise."""
        query = request.query
        unknown = query.keys() - {"from", "to", "limit", "cursor", *FILTERS}
        if unknown:
            raise Problem("bad_request", f"there is no parameter {min(unknown)[:64]}")
        wanted = _filter(query, caller)
        try:
            found = await self._reports.listed(
                from_ms=_time(query, "from"),
                to_ms=_time(query, "to"),
                limit=limit_of(query),
                cursor=query.get("cursor"),
                wanted=wanted,
            )
        except InvalidInput as error:
            raise refused(error) from None
        return _paged(found, "/v1/reports", query)

    async def campaign(self, request: Request, caller: Caller) -> Answer:
        """GET /v1/campaigns/{name}: its reports as one. A campaign may have notifications of any app."""
        caller.may_app(None)
        found = await self._reports.campaign(request.path["name"])
        if not found["reports"] and found["complete"]:
            raise Problem("not_found", "there is no report of this campaign in the last 7 days")
        return answer(200, found)

    async def deliveries(self, request: Request, caller: Caller) -> Answer:
        """GET /v1/users/{user}/deliveries[?app=][&outcome=]: newest first."""
        query = request.query
        caller.may_app(query.get("app"))
        user = checked_user(request.path["user"])
        if (outcome := query.get("outcome")) is not None and outcome not in tuple(Outcome):
            raise Problem("bad_request", f"outcome is one of {', '.join(Outcome)}")
        await self._wait(query)
        try:
            found = await self._reports.deliveries(
                user, limit=limit_of(query), cursor=query.get("cursor"), app=query.get("app"), outcome=outcome
            )
        except InvalidInput as error:
            raise refused(error) from None
        if found is None:
            raise Problem("reports_unavailable", "the reporter that has this user does not answer")
        return _paged(found, f"/v1/users/{quote(user, safe='')}/deliveries", query)

    async def _wait(self, query: Mapping[str, str]) -> None:
        """`?after=RECORD`: for what a client has just written. After 2 seconds it gets what there is."""
        if (record := query.get("after")) is None:
            return
        topic, partition, offset = read_record(record)
        lane = _LANES.get(topic)
        if lane is None:
            raise Problem("bad_request", "after is the record of a notification, as the answer to its request named it")
        await self._reports.caught_up(lane, partition, offset)


def _paged(found: dict[str, Any], path: str, query: Mapping[str, str]) -> Answer:
    if found["next_cursor"] is None:
        return answer(200, found)
    kept = {name: value for name, value in query.items() if name not in ("cursor", "after")}
    following = urlencode({"cursor": found["next_cursor"], **kept})
    return answer(200, found, Link=f'<{path}?{following}>; rel="next"')


def _allowed(report: dict[str, Any], caller: Caller) -> bool:
    """What says only that reporters are silent is for everybody: nobody knows of which app it would be."""
    return caller.key.apps is None or "app" not in report or report["app"] in caller.key.apps


def _filter(query: Mapping[str, str], caller: Caller) -> Callable[[dict[str, Any]], bool]:
    if (state := query.get("state")) is not None and state not in STATES:
        raise Problem("bad_request", f"state is one of {', '.join(STATES)}")
    dry_run = query.get("dry_run", "false")
    if dry_run not in ("true", "false"):
        raise Problem("bad_request", "dry_run is true or false")
    equal = {name: query[name] for name in ("app", "class", "campaign", "state") if name in query}

    def wanted(report: dict[str, Any]) -> bool:
        if not _allowed(report, caller) or (report["dry_run"] and dry_run == "false"):
            return False
        return all(report[name] == value for name, value in equal.items())

    return wanted


def limit_of(query: Mapping[str, str], default: int = DEFAULT_LIMIT, most: int = MAX_LIMIT) -> int:
    """How many rows are asked for. Raises Problem."""
    text = query.get("limit", str(default))
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:6]) <= most:
        raise Problem("bad_request", f"limit is a number from 1 to {most}")
    return int(text)


def _time(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name)
    if text is None:
        return None
    try:
        return to_ms(int(text) if text.isascii() and text.isdigit() else text, name, 0)
    except InvalidInput as error:
        raise Problem("bad_request", str(error)) from None
    except ValueError:
        raise Problem("bad_request", f"{name} is out of range") from None
