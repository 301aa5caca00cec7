"""The timer of exports (doors.md A2): each day once, by the reporter that has partition 0."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from pushcast.audit.export import mark_whole, whole_days
from pushcast.audit.export_places import LocalPlace, place_of
from pushcast.config.doors import ReportExport
from pushcast.model.clock import ManualClock
from pushcast.observe.catalogue import MetricName as Name
from pushcast.observe.metrics import Sample
from pushcast.runtime.daily_export import AGAIN_SECONDS, DAYS_BACK, DailyExport, ExportEnd, child_export, days_due

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
YESTERDAY = date(2026, 11, 29)
KEPT = [YESTERDAY - timedelta(days=back) for back in reversed(range(DAYS_BACK))]


class Tool:
    """Stands for `pushcast report export`."""

    def __init__(self, folder: Path, codes: Sequence[int] = ()) -> None:
        self.folder = folder
        self.codes = list(codes)
        self.days: list[date] = []

    async def __call__(self, day: date) -> ExportEnd:
        self.days.append(day)
        code = self.codes.pop(0) if self.codes else 0
        if code:
            return ExportEnd(code, [], "Kafka does not answer")
        mark_whole(LocalPlace(self.folder), day)
        return ExportEnd(0, [{"file": "f", "rows": 3, "gone": 1, "unreadable": 0}], "")


def exports(folder: Path, tool: Tool, *, owner: bool = True, clock: ManualClock | None = None) -> DailyExport:
    clock = clock or ManualClock(round(NOON.timestamp() * 1000))
    return DailyExport(ReportExport(folder=str(folder)), lambda: owner, tool, clock)


def test_days_that_kafka_still_has_are_due_the_oldest_first() -> None:
    assert days_due(NOON, 900) == KEPT


async def test_what_somebody_exported_is_not_exported_again(tmp_path: Path) -> None:
    tool = Tool(tmp_path)
    for day in (KEPT[0], KEPT[3]):
        mark_whole(LocalPlace(tmp_path), day)
    await exports(tmp_path, tool).look()
    assert tool.days == [KEPT[1], KEPT[2], *KEPT[4:]]


@pytest.mark.parametrize(("minutes", "last"), [(14, date(2026, 11, 28)), (15, YESTERDAY)])
def test_a_day_is_due_a_while_after_its_end(minutes: int, last: date) -> None:
    midnight = datetime(2026, 11, 30, tzinfo=UTC)
    assert days_due(midnight + timedelta(minutes=minutes), 900)[-1] == last


async def test_each_day_is_exported_once_also_by_another_reporter(tmp_path: Path) -> None:
    tool = Tool(tmp_path)
    found = exports(tmp_path, tool)
    with capture_logs() as lines:
        await found.look()
        await found.look()
    await exports(tmp_path, tool).look()
    assert tool.days == KEPT
    assert [line["event"] for line in lines] == ["day_exported"] * DAYS_BACK
    assert (lines[0]["rows"], lines[0]["gone"]) == (3, 1)
    end = datetime(2026, 11, 30, tzinfo=UTC).timestamp()
    assert list(found.samples()) == [Sample(Name.REPORT_EXPORTED, end)]


async def test_only_the_reporter_with_partition_0_exports_and_tells(tmp_path: Path) -> None:
    tool = Tool(tmp_path)
    found = exports(tmp_path, tool, owner=False)
    await found.look()
    assert (tool.days, list(found.samples())) == ([], [])


async def test_what_fails_is_told_and_tried_again_after_a_while(tmp_path: Path) -> None:
    clock, tool = ManualClock(round(NOON.timestamp() * 1000)), Tool(tmp_path, codes=[1])
    found = exports(tmp_path, tool, clock=clock)
    with capture_logs() as lines:
        await found.look()
        await found.look()
    assert tool.days == KEPT[:1]
    assert [(line["event"], line["problem"]) for line in lines] == [
        ("day_not_exported", "exit 1: Kafka does not answer")
    ]
    assert list(found.samples()) == [Sample(Name.REPORT_EXPORTED, 0)]
    clock.advance(AGAIN_SECONDS)
    await found.look()
    assert tool.days == [*KEPT[:1], *KEPT]


async def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> set[date]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pushcast.runtime.daily_export.whole_days", denied)
    with capture_logs() as lines:
        await exports(tmp_path, Tool(tmp_path)).look()
    assert "Permission denied" in lines[0]["problem"]


def test_a_day_is_whole_when_its_marker_is_there(tmp_path: Path) -> None:
    place = LocalPlace(tmp_path)
    mark_whole(place, YESTERDAY)
    (tmp_path / "receipts" / f"date={KEPT[0]}").mkdir()
    assert whole_days(place, KEPT) == {YESTERDAY}


async def test_a_url_is_given_to_the_tool_as_it_is_and_asked_for_what_is_there(tmp_path: Path) -> None:
    url = "memory://daily/receipts"
    mark_whole(place_of(url), YESTERDAY)
    tool = Tool(tmp_path)
    found = DailyExport(ReportExport(folder=url), lambda: True, tool, ManualClock(round(NOON.timestamp() * 1000)))
    await found.look()
    assert tool.days == KEPT[:-1]
    script = "import json, sys; print(json.dumps([{'file': ' '.join(sys.argv[5:7])}]))"
    command = child_export(ReportExport(folder=url), lambda *words: [sys.executable, "-c", script, *words])
    assert (await command(YESTERDAY)).files == [{"file": f"--folder {url}"}]


async def test_a_url_whose_package_is_missing_is_told(tmp_path: Path) -> None:
    tool, clock = Tool(tmp_path), ManualClock(round(NOON.timestamp() * 1000))
    with capture_logs() as lines:
        await DailyExport(ReportExport(folder="s3://bucket/receipts"), lambda: True, tool, clock).look()
    assert "s3fs" in lines[0]["problem"]
    assert tool.days == []


async def test_the_tool_gets_day_folder_and_form_and_its_last_line_is_told(tmp_path: Path) -> None:
    script = "import json, sys; print(json.dumps([{'file': ' '.join(sys.argv[1:])}]))"
    done = await child_export(
        ReportExport(folder=str(tmp_path), format="csv"), lambda *words: [sys.executable, "-c", script, *words]
    )(YESTERDAY)
    said = f"report export --day {YESTERDAY} --folder {tmp_path} --format csv --output json"
    assert (done.code, done.files) == (0, [{"file": said}])
    script = "import sys; print('first', file=sys.stderr); print('pyarrow is not here', file=sys.stderr); sys.exit(2)"
    failed = await child_export(ReportExport(folder=str(tmp_path)), lambda *_: [sys.executable, "-c", script])(
        YESTERDAY
    )
    assert failed == ExportEnd(2, [], "pyarrow is not here")
