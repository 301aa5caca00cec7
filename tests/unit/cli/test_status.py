"""`pushcast status`: a stage that is down shows its lag like any other."""

from __future__ import annotations

import pytest

from pushcast.audit.overview import GroupLag, Overview
from pushcast.cli.forecast import to_dict
from pushcast.cli.status import page, without_keeper
from pushcast.kafka.positions import Members, unfinished
from pushcast.model.forecast import forecast
from pushcast.wire import topics

NOW = 1_800_000_000_000


def test_unfinished_is_what_lies_between_the_commit_and_the_end() -> None:
    starts = {("t", 0): 0, ("t", 1): 50, ("t", 2): 0, ("t", 3): 9}
    ends = {("t", 0): 10, ("t", 1): 60, ("t", 2): 10, ("t", 3): 9}
    committed = {("t", 0): 4, ("t", 1): 3, ("t", 3): 9}
    assert unfinished(starts, ends, committed) == {
        ("t", 0): (4, 10),
        ("t", 1): (50, 60),  # what retention took is over
        ("t", 2): (0, 10),  # a group that never committed has everything before it
    }


def test_a_group_without_members_names_the_topics_that_wait_for_it() -> None:
    overview = Overview(
        [
            GroupLag("pushcast-plan-urgent", Members("stable", 1), {"in": 0}),
            GroupLag("pushcast-send-fcm-bulk", Members("empty", 0), {"push.send.fcm.bulk.v1": 6000}, 1000),
            GroupLag("pushcast-settle", Members("stable", 2), {topics.PARKED: 1}, 2000, {topics.PARKED: 1}),
        ]
    )
    overview.dead_letters["x.dlq"] += 1
    overview.transactions["push.receipt.v1", 3] = 1000
    overview.newer["push.parked.v1[3]@5"] = "abcd"
    found = overview.to_dict()
    assert (found["groups"][1]["lag"], found["groups"][1]["oldest_at"]) == (6000, "1970-01-01T00:00:01.000Z")
    cancelled = [{"campaign": "xmas-26", "by": "ann@host", "comment": "called off"}]
    lines = list(
        page(
            {
                **found,
                "pauses": [],
                "open_breakers": [],
                "cancelled_campaigns": cancelled,
                "forecast": None,
                "waiting_without_keeper": 0,
                "older_releases": [{"group": "pushcast-settle", "slot": "s-1", "host": "h-2", "pid": 7}],
            }
        )
    )
    assert [line for line in lines if "older release" in line] == [
        "pushcast-settle: pid 7 on host h-2 (slot s-1) is of an older release: no planner of this one starts beside it"
    ]
    assert "campaign xmas-26 is cancelled by ann@host: called off" in lines
    assert "  push.send.fcm.bulk.v1: 6,000 records, no member" in lines
    assert "1 record parked" in lines
    assert [line for line in lines if "offset" in line] == [
        "  push.parked.v1: 1 partition without an offset: the group is new, or its offsets were deleted"
    ]
    assert any("push.receipt.v1[3] waits for the end of a transaction" in line for line in lines)
    assert "1 dead letter of the last hour" in lines
    assert "  x.dlq: 1" in lines
    assert "push.parked.v1[3]@5 has schema abcd, which this release does not know: whoever reads it waits" in lines
    assert not any("pushcast-plan" in line and "no member" in line for line in lines)


@pytest.mark.parametrize(("members", "waiting"), [(0, 3), (1, 0)])
def test_what_waits_while_no_keeper_runs_is_said(members: int, waiting: int) -> None:
    stands = Overview([GroupLag("pushcast-keep", Members("stable", members), {"push.keep.bulk.v1": 0})]).to_dict()
    told = to_dict(forecast([0, NOW + 60_000, NOW + 3 * 86_400_000], NOW), {})
    assert without_keeper(stands, told) == waiting
    assert without_keeper(stands, None) == 0
    more = {"pauses": [], "open_breakers": [], "cancelled_campaigns": [], "forecast": told}
    lines = list(page({**stands, **more, "waiting_without_keeper": waiting, "older_releases": []}))
    said = "3 notifications wait and no keeper runs: nothing of it leaves until `pushcast run keeper` does"
    assert (said in lines) == bool(waiting)
