"""Asks every reporter that has a partition, adds up what they say, and names the partitions without an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Final

import msgspec

from pushcast.model.ids import partition_of
from pushcast.model.words import Outcome, Source
from pushcast.report.answers import cursor_of, delivery_of, read_cursor, report_of
from pushcast.report.asking import ANSWER_SECONDS, Addresses, Fetch, OfPartitions, ReporterAsker, nobody
from pushcast.report.campaigns import MAX_SUMMED, campaign_of
from pushcast.report.engaged import NOTHING
from pushcast.report.examples import takes
from pushcast.report.goal import USUAL, Goal
from pushcast.report.minutes import summed
from pushcast.report.notes import KINDS, Note, merged, note_hash
from pushcast.report.questions import EXAMPLES, HISTORY, MINUTES, PASSED, SAID, NoteAnswer
from pushcast.report.rows import DAY_MS, MINUTE_MS
from pushcast.report.totals import check_span, totals_of
from pushcast.wire.control.examples import ExampleFilter
from pushcast.wire.times import rfc3339

DEFAULT_DAYS: Final = 7
#: Between two questions whether something has arrived.
AGAIN_SECONDS: Final = 0.1
#: Of a user and one notification, at most.
USER_DELIVERIES: Final = 500
MAX_ROUNDS: Final = 20


class Coordinator:
    """`owners`, `standbys`: address of the reporter of each partition, as far as that is known."""

    def __init__(
        self,
        owners: Addresses,
        partitions: int,
        fetch: Fetch,
        now_ms: Callable[[], int],
        standbys: Addresses = nobody,
        goal: Goal = USUAL,
        keep_days: int = 30,
    ) -> None:
        """`keep_days`: how long reporters keep single deliveries."""
        self._ask = ReporterAsker(owners, standbys, fetch)
        self._partitions = partitions
        self._now_ms = now_ms
        self._goal = goal
        self._keep_days = keep_days

    async def report(self, note_id: str) -> dict[str, Any] | None:
        """Of a notification, or of the broadcast with this id. None: nothing is known of it, and everybody answered."""
        found, missing, as_of = await self._notes([note_id])
        for kind in KINDS:
            note = merged(each for each in found if each.kind == kind)
            if note is not None:
                return report_of(note, self._now_ms(), missing, goal=self._goal, as_of=as_of)
        return None if not missing else {"id": note_id, "complete": False, "missing_partitions": missing}

    async def listed(
        self,
        *,
        from_ms: int | None = None,
        to_ms: int | None = None,
        limit: int = 50,
        cursor: str | None = None,
        wanted: Callable[[dict[str, Any]], bool] = lambda _: True,
    ) -> dict[str, Any]:
        """Reports, newest first; each note once over all pages. Raises InvalidInput for a wrong cursor."""
        now_ms = self._now_ms()
        to_minute = (now_ms if to_ms is None else to_ms) // MINUTE_MS + 1
        from_minute = (now_ms - DEFAULT_DAYS * DAY_MS if from_ms is None else from_ms) // MINUTE_MS
        after = None if cursor is None else read_cursor(cursor)
        reports: list[dict[str, Any]] = []
        missing: list[int] = []
        for _ in range(MAX_ROUNDS):
            page, missing, as_of = await self._page(from_minute, to_minute, after, limit)
            if not page:
                return {"reports": reports, "next_cursor": None, "missing_partitions": missing}
            whole = await self._whole(set(page.values()))
            for minute, name in page:
                after = minute, name
                newest, note = whole.get(name, (None, None))
                # A note stands where its newest part stands: on an older place it was shown before.
                if note is None or newest != minute:
                    continue
                told = report_of(note, now_ms, missing, goal=self._goal, as_of=as_of)
                if not wanted(told):
                    continue
                reports.append(told)
                if len(reports) == limit:
                    break
            if len(reports) == limit:
                break
        return {
            "reports": reports,
            "next_cursor": None if after is None else cursor_of(*after),
            "missing_partitions": missing,
        }

    async def campaign(self, label: str) -> dict[str, Any]:
        """The newest reports of this campaign in the last 7 days as one, dry runs left out; at most 500 of them."""

        def wanted(report: dict[str, Any]) -> bool:
            return report["campaign"] == label and not report["dry_run"]

        found = await self.listed(limit=MAX_SUMMED, wanted=wanted)
        whole = found["next_cursor"] is None
        return campaign_of(label, found["reports"], whole=whole, missing=found["missing_partitions"])

    async def totals(
        self, *, from_ms: int, to_ms: int | None = None, step: int = 1, app: str | None = None, klass: str | None = None
    ) -> dict[str, Any]:
        """What became due by class and time, and how it ended; `step`: minutes. Raises InvalidInput for too many."""
        from_minute = from_ms // MINUTE_MS // step * step
        to_minute = (self._now_ms() if to_ms is None else to_ms) // MINUTE_MS + 1
        check_span(from_minute, to_minute, step)
        parameters = {"from": str(from_minute), "to": str(to_minute), "step": str(step)}
        said = await self._ask.all("/minutes", parameters, MINUTES.decode)
        missing = self._missing(said)
        sums = summed((row for each in said for row in each.sums), step)
        return {
            "step_minutes": step,
            "totals": totals_of(sums, app, klass),
            "complete": not missing,
            "missing_partitions": missing,
        }

    async def deliveries(
        self,
        user: str,
        *,
        limit: int = 50,
        cursor: str | None = None,
        app: str | None = None,
        outcome: str | None = None,
        notes: Sequence[str] = (),
    ) -> dict[str, Any] | None:
        """A user's history, newest first. None: the reporter of this user does not answer.

        `notes`: only of these notifications. `kept_since`: what was created before may have been there.
        """
        now_ms = self._now_ms()
        partition = partition_of(user.encode(), self._partitions)
        after = None if cursor is None else read_cursor(cursor)
        since_ms = now_ms - self._keep_days * DAY_MS
        apps = None if app is None else [app]
        wanted = ExampleFilter(since_ms, now_ms + DAY_MS, list(notes), apps, outcome=outcome)
        parameters = {"user": user, "partition": str(partition), "limit": str(limit)}
        parameters |= {"wanted": msgspec.json.encode(wanted).decode()}
        # For reporters of an earlier release, which answer with all of them.
        parameters |= {"from": str(wanted.from_ms), "to": str(wanted.to_ms)}
        if after is not None:
            parameters |= {"after": f"{after[0]}.{after[1].hex()}"}
        history = await self._ask.one(
            partition, "/history", parameters, HISTORY.decode, lambda said: said.found and said.whole
        )
        if history is None or not history.found:
            return None
        told = history.told or [NOTHING] * len(history.deliveries)
        rows = [
            delivery_of(delivery_id, row, each)
            for (_, delivery_id, row), each in zip(history.deliveries, told, strict=True)
            if takes(wanted, row)
        ]
        last = history.deliveries[-1] if len(history.deliveries) == limit else None
        return {
            "user": user,
            "deliveries": rows,
            "kept_since": rfc3339(max(since_ms // DAY_MS * DAY_MS, history.kept_since)),
            "as_of": rfc3339(history.as_of or now_ms),
            "complete": history.whole,
            "next_cursor": None if last is None else cursor_of(last[0], last[1]),
        }

    async def examples(self, wanted: ExampleFilter, limit: int) -> dict[str, Any]:
        """Deliveries that ended in one way, of as many users as there are; `whole`: there are no others."""
        parameters = {"wanted": msgspec.json.encode(wanted).decode(), "limit": str(limit)}
        said = await self._ask.all("/examples", parameters, EXAMPLES.decode)
        missing = self._missing(said)
        # A reporter of an earlier release does not know every part of what is wanted.
        mine = [each for answer in said for each in answer.examples if takes(wanted, each[2])]
        found = sorted(mine, key=lambda it: (-it[2].ended_at, it[1]))
        return {
            "examples": [{"user": user, **delivery_of(name, row)} for user, name, row in found[:limit]],
            "looked_at": sum(each.looked_at for each in said),
            "whole": not missing and len(found) <= limit and not any(each.more for each in said),
            "complete": not missing,
            "missing_partitions": missing,
        }

    async def caught_up(self, lane: str, partition: int, offset: int) -> bool:
        """Whether reports know what was planned of this event of an intake topic. Waits for it, at most 2 seconds."""
        intake = f"{lane}/{int(Source.NOTIFICATION)}"
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                while True:
                    parameters = {"partition": str(partition)}
                    passed = await self._ask.one(
                        partition, "/passed", parameters, PASSED.decode, lambda said: said.get(intake, 0) > offset
                    )
                    if passed is not None and passed.get(intake, 0) > offset:
                        return True
                    await asyncio.sleep(AGAIN_SECONDS)
        except TimeoutError:
            return False

    async def report_of_user(
        self, note_id: str, user: str, apps: Collection[str] | None = None
    ) -> dict[str, Any] | None:
        """Of what a user got of it, from the deliveries of the user: for classes whose sums are not kept. `apps`: only
        in these. One notification may have gone to several.

        None: there is none, or the reporter of this user does not answer."""
        found = await self.deliveries(user, limit=USER_DELIVERIES, notes=[note_id])
        mine = [row for row in ([] if found is None else found["deliveries"]) if apps is None or row["app"] in apps]
        if found is None or not mine:
            return None
        outcomes = dict.fromkeys(map(str, Outcome), 0)
        for row in mine:
            outcomes[row["outcome"]] += 1
        return {
            "id": note_id,
            "kind": mine[0]["kind"],
            "user": user,
            "app": mine[0]["app"],
            "created_at": mine[-1]["created_at"],
            "outcomes": outcomes,
            "deliveries": mine,
            "complete": found["complete"],
        }

    async def _notes(self, ids: list[str]) -> tuple[list[Note], list[int], int | None]:
        return self._together(await self._ask.all("/notes", {"ids": msgspec.json.encode(ids).decode()}, SAID.decode))

    async def _page(
        self, from_minute: int, to_minute: int, after: tuple[int, bytes] | None, limit: int
    ) -> tuple[dict[tuple[int, bytes], str], list[int], int | None]:
        """Ids by place (minute, note), newest first, at most `limit`; the missing partitions; and as of when."""
        parameters = {"from": str(from_minute), "to": str(to_minute), "limit": str(limit)}
        if after is not None:
            parameters |= {"after": f"{after[0]}.{after[1].hex()}"}
        found, missing, as_of = self._together(await self._ask.all("/list", parameters, SAID.decode))
        ids = {(note.created_at // MINUTE_MS, note_hash(note.kind, note.id)): note.id for note in found}
        places = sorted(ids, key=lambda place: (-place[0], place[1]))[:limit]
        return {place: ids[place] for place in places}, missing, as_of

    async def _whole(self, ids: set[str]) -> dict[bytes, tuple[int, Note]]:
        """(minute of its newest part, sum over all partitions) of each note."""
        found, _, _ = await self._notes(sorted(ids))
        parts: dict[bytes, list[Note]] = {}
        for note in found:
            parts.setdefault(note_hash(note.kind, note.id), []).append(note)
        whole: dict[bytes, tuple[int, Note]] = {}
        for name, notes in parts.items():
            total = merged(notes)
            assert total is not None
            whole[name] = max(each.created_at for each in notes) // MINUTE_MS, total
        return whole

    def _together(self, said: list[NoteAnswer]) -> tuple[list[Note], list[int], int | None]:
        """(notes, partitions of which nobody answered, until when the others have everything that was written)."""
        as_of = min((each.as_of for each in said if each.as_of), default=None)
        return [note for each in said for note in each.notes], self._missing(said), as_of

    def _missing(self, said: Iterable[OfPartitions]) -> list[int]:
        answered: set[int] = set()
        for each in said:
            answered.update(each.partitions)
        return sorted(set(range(self._partitions)) - answered)
