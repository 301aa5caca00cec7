"""`/v1/examples`: which deliveries are asked for, and who may see them."""

from __future__ import annotations

from typing import Any

import pytest

from pushcast.wire.control.api_keys import Scope
from pushcast.wire.control.examples import ExampleFilter
from twins.console import report_of
from twins.gateway import NOW_MS, Rig, gateway

DAY_MS = 86_400_000
CREATED_MS = 1_790_000_000_000 - 20_000  # 14:13:00 of the reports
ENDED_MS = CREATED_MS + 20_000


def fill(rig: Rig) -> None:
    rig.reports.all["n"] = report_of("n", campaign="cup")
    rig.reports.all["m"] = report_of("m", campaign="cup", last_ended_at=None, created_at=None)
    rig.reports.all["other"] = report_of("other")
    rig.reports.found = [{"user": "ann"}, {"user": "bob"}]


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        (
            {"report": "n", "reason": "device_unregistered", "platform": "apns"},
            ExampleFilter(CREATED_MS - DAY_MS, ENDED_MS, ["n"], reason="device_unregistered", platform="apns"),
        ),
        (
            {"campaign": "cup", "outcome": "dead"},
            ExampleFilter(CREATED_MS - DAY_MS, ENDED_MS, ["n", "m"], outcome="dead"),
        ),
        (
            {"report": "n", "slower_than_ms": "2000"},
            ExampleFilter(CREATED_MS - DAY_MS, ENDED_MS, ["n"], slower_than_ms=2000),
        ),
        ({"app": "news"}, ExampleFilter(NOW_MS - 7 * DAY_MS, NOW_MS + DAY_MS, apps=["news"])),
    ],
)
async def test_a_report_a_campaign_and_an_app_are_looked_through_in_their_time(
    query: dict[str, str], wanted: ExampleFilter
) -> None:
    async with gateway() as rig, rig.client(rig.key(Scope.HISTORY_READ)) as client:
        fill(rig)
        answer = await client.get("/v1/examples", params=query | {"limit": "1"})
    assert (answer.status_code, answer.json()["examples"]) == (200, [{"user": "ann"}])
    assert rig.reports.wanted == [wanted]


async def test_a_key_of_one_app_sees_deliveries_of_that_app_only() -> None:
    async with gateway() as rig, rig.client(rig.key(Scope.HISTORY_READ, apps=("shop",))) as client:
        fill(rig)
        assert (await client.get("/v1/examples", params={"report": "n"})).status_code == 200
        refused = await client.get("/v1/examples", params={"app": "news"})
    assert rig.reports.wanted[0].apps == ["shop"]
    assert (refused.status_code, refused.json()["type"]) == (403, "/problems/app_not_allowed")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({}, 400),
        ({"report": "n", "app": "news"}, 400),
        ({"report": "n", "outcome": "lost"}, 400),
        ({"report": "n", "platform": "pager"}, 400),
        ({"report": "n", "limit": "101"}, 400),
        ({"report": "n", "slower_than_ms": "1e3"}, 400),
        ({"report": "n", "slower_than_ms": "9" * 13}, 400),
        ({"report": "never"}, 404),
        ({"campaign": "never"}, 404),
    ],
)
async def test_what_cannot_be_looked_for_is_refused(query: dict[str, Any], status: int) -> None:
    async with gateway() as rig, rig.client(rig.key(Scope.HISTORY_READ)) as client:
        fill(rig)
        assert (await client.get("/v1/examples", params=query)).status_code == status
    assert rig.reports.wanted == []


async def test_a_key_that_may_only_read_reports_sees_no_users() -> None:
    async with gateway() as rig, rig.client(rig.key(Scope.REPORTS_READ)) as client:
        fill(rig)
        assert (await client.get("/v1/examples", params={"report": "n"})).status_code == 403
