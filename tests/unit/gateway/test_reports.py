"""Reports over real HTTP: what a key sees of them."""

from __future__ import annotations

from typing import Any

from pushcast.report.answers import report_of
from pushcast.report.notes import Note
from pushcast.wire.control.api_keys import Scope
from twins.gateway import NOW_MS, Rig, gateway


def report(note_id: str, app: str = "news", **more: Any) -> dict[str, Any]:
    return report_of(
        Note(note_id, "notification", app, "breaking", created_at=NOW_MS, planned={"apns": 1}, **more), NOW_MS
    )


def fill(rig: Rig) -> None:
    for each in (report("n-1"), report("n-2", "shop"), report("n-3", dry_run=True)):
        rig.reports.all[each["id"]] = each


async def test_a_report_is_shown_and_an_unknown_one_is_not_found() -> None:
    async with gateway() as rig, rig.client(rig.key(Scope.REPORTS_READ)) as client:
        fill(rig)
        found, unknown = await client.get("/v1/reports/n-1"), await client.get("/v1/reports/n%2F9")
    assert (found.status_code, found.json()["planned"], found.json()["state"]) == (200, 1, "sending")
    assert unknown.status_code == 404


async def test_a_key_of_one_app_sees_reports_of_that_app_only() -> None:
    async with gateway() as rig, rig.client(rig.key(Scope.REPORTS_READ, apps=("shop",))) as client:
        fill(rig)
        other, own = await client.get("/v1/reports/n-1"), await client.get("/v1/reports/n-2")
        listed = await client.get("/v1/reports")
    assert (other.status_code, own.status_code) == (404, 200)
    assert [row["id"] for row in listed.json()["reports"]] == ["n-2"]


async def test_r7_dry_runs_are_absent_unless_asked_for() -> None:
    async with gateway() as rig, rig.client(rig.key()) as client:
        fill(rig)
        plain = (await client.get("/v1/reports")).json()
        asked = (await client.get("/v1/reports", params={"dry_run": "true", "app": "news"})).json()
    assert [row["id"] for row in plain["reports"]] == ["n-1", "n-2"]
    assert [row["id"] for row in asked["reports"]] == ["n-1", "n-3"]


async def test_a_page_links_to_the_next() -> None:
    async with gateway() as rig, rig.client(rig.key()) as client:
        fill(rig)
        page = await client.get("/v1/reports", params={"limit": "1"})
        cursor = page.json()["next_cursor"]
        assert page.headers["Link"] == f'</v1/reports?cursor={cursor}&limit=1>; rel="next"'
        assert (await client.get("/v1/reports", params={"cursor": cursor})).status_code == 200


async def test_what_a_client_has_just_written_is_waited_for() -> None:
    async with gateway() as rig, rig.client(rig.key()) as client:
        fill(rig)
        after = {"after": "push.notification.urgent.v1/3/18872"}
        found = await client.get("/v1/reports/n-1", params=after)
        history = await client.get("/v1/users/u/deliveries", params=after)
        wrong = [
            await client.get("/v1/reports/n-1", params={"after": each})
            for each in ("push.cancel.v1/0/1", "push.notification.urgent.v1/x/1", "7")
        ]
    assert (found.status_code, history.status_code) == (200, 200)
    assert rig.reports.waited == [("urgent", 3, 18872)] * 2
    assert [answer.status_code for answer in wrong] == [400] * 3


async def test_what_one_user_got_is_asked_for_by_user() -> None:
    async with gateway() as rig, rig.client(rig.key(apps=("news",))) as client:
        fill(rig)
        found = await client.get("/v1/reports/n-1", params={"user": "u"})
        others = [await client.get(f"/v1/reports/{note}", params={"user": "u"}) for note in ("n-2", "n-9")]
        reserved = await client.get("/v1/reports/n-1", params={"user": "device:d"})
    assert (found.status_code, found.json()["user"], reserved.status_code) == (200, "u", 422)
    assert [answer.status_code for answer in others] == [404, 404]


async def test_wrong_parameters_are_refused_by_name() -> None:
    wrong = [{"limit": "0"}, {"state": "sent"}, {"from": "yesterday"}, {"dry_run": "1"}, {"ap": "x"}, {"to": "9" * 30}]
    async with gateway() as rig, rig.client(rig.key()) as client:
        answers = [await client.get("/v1/reports", params=each) for each in wrong]
        cursor = await client.get("/v1/reports", params={"cursor": "nonsense"})
    assert [answer.status_code for answer in answers] == [400] * len(wrong)
    assert cursor.status_code == 422


async def test_the_next_page_is_of_the_same_question() -> None:
    async with gateway() as rig, rig.client(rig.key()) as client:
        fill(rig)
        rig.reports.all["n-5"] = {**rig.reports.all["n-1"], "id": "n-5"}
        rig.reports.history = [{"notification": "n-1"}] * 3
        listed = await client.get("/v1/reports", params={"limit": "1", "app": "news", "class": "breaking"})
        asked = {"limit": "2", "app": "news", "outcome": "invalid", "after": "push.notification.urgent.v1/3/7"}
        history = await client.get("/v1/users/u%2F1/deliveries", params=asked)
        wrong = await client.get("/v1/users/u/deliveries", params={"outcome": "lost"})
    assert listed.links["next"]["url"].endswith("&limit=1&app=news&class=breaking")
    assert history.links["next"]["url"].startswith("/v1/users/u%2F1/deliveries?cursor=")
    assert history.links["next"]["url"].endswith("&limit=2&app=news&outcome=invalid")
    assert rig.reports.asked == [{"app": "news", "outcome": "invalid"}]
    assert wrong.status_code == 400


async def test_a_users_history_of_one_app_needs_a_key_for_that_app() -> None:
    async with gateway() as rig, rig.client(rig.key(Scope.HISTORY_READ, apps=("news",))) as client:
        statuses = [
            (await client.get("/v1/users/u/deliveries", params=each)).status_code
            for each in ({"app": "news"}, {"app": "shop"}, {})
        ]
    assert statuses == [200, 403, 403]


async def test_a_users_history_needs_a_key_for_all_apps_and_its_reporter() -> None:
    async with gateway() as rig:
        rig.reports.history = [{"notification": "n-1"}]
        async with rig.client(rig.key(Scope.HISTORY_READ)) as client:
            found = await client.get("/v1/users/u/deliveries")
            rig.reports.history = None
            silent = await client.get("/v1/users/u/deliveries")
        async with rig.client(rig.key(Scope.HISTORY_READ, apps=("news",))) as client:
            narrow = await client.get("/v1/users/u/deliveries")
    assert found.json()["deliveries"] == [{"notification": "n-1"}]
    assert (silent.status_code, silent.json()["type"]) == (503, "/problems/reports_unavailable")
    assert narrow.status_code == 403


async def test_what_says_only_that_reporters_are_silent_is_told_to_a_key_of_one_app_too() -> None:
    async with gateway() as rig, rig.client(rig.key(Scope.REPORTS_READ, apps=("shop",))) as client:
        rig.reports.all["n"] = {"id": "n", "complete": False, "missing_partitions": [1]}
        found = await client.get("/v1/reports/n")
    assert (found.status_code, found.json()["missing_partitions"]) == (200, [1])


async def test_a_key_of_one_app_is_not_told_what_a_user_got_in_other_apps() -> None:
    async with gateway() as rig:
        fill(rig)
        for apps in (("shop",), None):
            async with rig.client(rig.key(Scope.REPORTS_READ, apps=apps)) as client:
                assert (await client.get("/v1/reports/n-2", params={"user": "u1"})).status_code == 200
    assert rig.reports.of_apps == [("shop",), None]
