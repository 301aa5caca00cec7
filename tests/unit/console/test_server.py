"""Signing in, forms from elsewhere, and what goes wrong. Numbers are those of the acceptance facts (doors.md, D)."""

from __future__ import annotations

import asyncio
import re
from importlib.resources import files
from typing import Any

import httpx
import pytest

from pushcast.console.build import pages
from pushcast.console.guard import CONTENT_SECURITY_POLICY
from pushcast.wire.control.api_keys import Scope
from twins.console import ConsoleRig, console, report_of, standing_of

PAUSE = {"app": "news", "platform": "apns", "lane": "", "comment": "bad campaign"}
PAGES = (
    *("/", "/reports", "/people", "/devices", "/send", "/control", "/dead-letters", "/health", "/webhooks"),
    *("/keys", "/actions"),
)


async def test_a_visitor_signs_in_and_comes_to_the_page_that_was_asked_for() -> None:
    async with console() as rig, rig.browser() as client:
        asked = await client.get("/reports?app=news")
        assert (asked.status_code, asked.headers["location"]) == (303, "/sign-in?next=%2Freports%3Fapp%3Dnews")
        form = await client.get(asked.headers["location"])
        assert 'value="/reports?app=news"' in form.text
        came = await client.post("/sign-in", data={"key": rig.key(Scope.CONSOLE_VIEW), "next": "/reports?app=news"})
        assert (came.status_code, came.headers["location"]) == (303, "/reports?app=news")
        assert (await client.get("/reports?app=news")).status_code == 200


async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites() -> None:
    async with console() as rig, rig.browser() as client:
        came = await client.post("/sign-in", data={"key": rig.key(Scope.CONSOLE_VIEW)})
    cookie = came.headers["set-cookie"]
    assert cookie.startswith("pc=")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    async with console(secure=True) as rig, rig.browser() as client:
        came = await client.post("/sign-in", data={"key": rig.key(Scope.CONSOLE_VIEW)})
    assert came.headers["set-cookie"].startswith("__Host-pc=")
    assert "Secure" in came.headers["set-cookie"]
    assert "Domain" not in came.headers["set-cookie"]


@pytest.mark.parametrize("then", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"])
async def test_signing_in_leads_to_pages_of_the_console_only(then: str) -> None:
    async with console() as rig, rig.browser() as client:
        came = await client.post("/sign-in", data={"key": rig.key(Scope.CONSOLE_VIEW), "next": then})
    assert came.headers["location"] == "/"


async def test_a_key_without_a_scope_of_the_console_opens_nothing() -> None:
    async with console() as rig, rig.browser() as client:
        wrong = await client.post("/sign-in", data={"key": "pc_nonsense"})
        scopeless = await client.post("/sign-in", data={"key": rig.key(Scope.NOTIFICATIONS_SEND)})
        assert (wrong.status_code, scopeless.status_code) == (401, 403)
        assert "set-cookie" not in wrong.headers
        assert "set-cookie" not in scopeless.headers
        assert (await client.get("/")).status_code == 303


async def test_wrong_keys_of_one_address_are_refused_unheard_after_sixty() -> None:
    async with console() as rig, rig.browser() as client:
        answers = [(await client.post("/sign-in", data={"key": f"k{n}"})).status_code for n in range(61)]
    assert answers == [401] * 60 + [429]


async def test_a_key_that_is_disabled_meanwhile_opens_nothing_more() -> None:
    async with console() as rig, rig.browser() as client:
        await rig.signed_in(client)
        assert (await client.get("/")).status_code == 200
        for key_id in rig.keyring.records():
            rig.keyring.apply(key_id.encode(), None)
        assert (await client.get("/")).headers["location"].startswith("/sign-in")


async def test_signing_out_ends_the_session_of_this_browser() -> None:
    async with console() as rig, rig.browser() as client:
        token = await rig.signed_in(client)
        assert (await client.post("/sign-out", data={"_token": "wrong"})).status_code == 403
        assert (await client.get("/")).status_code == 200
        await client.post("/sign-out", data={"_token": token})
        assert (await client.get("/")).status_code == 303


async def test_c2_a_pause_from_another_origin_without_the_token_or_as_viewer_is_refused_and_written_down() -> None:
    async with console() as rig, rig.browser() as client:
        token = await rig.signed_in(client)
        form = {**PAUSE, "_token": token}
        elsewhere = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
        answers = [
            await client.post("/control/pause", data=form, headers=elsewhere),
            await client.post("/control/pause", data=PAUSE),
        ]
        viewer = await rig.signed_in(client, Scope.CONSOLE_VIEW)
        answers.append(await client.post("/control/pause", data={**PAUSE, "_token": viewer}))
        assert [each.status_code for each in answers] == [403] * 3
        assert [put.topic for put in rig.producer.puts] == ["push.action.v1"] * 3
        assert [(each.did, each.refused) for each in rig.acted()] == [
            ("pause", "foreign_form"),
            ("pause", "foreign_form"),
            ("pause", "scope_missing"),
        ]


async def test_c2_every_form_of_every_page_is_refused_without_the_token_from_elsewhere_and_to_a_viewer() -> None:
    """Asked of the server's own list of pages, so that a new form is held to it."""
    async with console() as rig, rig.browser() as client:
        forms = [page for page in pages(rig.desk) if page.method == "POST"]
        assert len(forms) >= 8
        operator = await rig.signed_in(client)
        elsewhere = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
        for page in forms:
            path = page.path.replace("{label}", "x")
            foreign = await client.post(path, data={"_token": operator}, headers=elsewhere)
            bare = await client.post(path, data={"do": "execute"})
            assert (foreign.status_code, bare.status_code) == (403, 403), page.path
        viewer = await rig.signed_in(client, Scope.CONSOLE_VIEW)
        for page in forms:
            seen = await client.post(page.path.replace("{label}", "x"), data={"_token": viewer})
            assert seen.status_code == 403, page.path
        client.cookies.clear()
        for page in forms:
            nobody = await client.post(page.path.replace("{label}", "x"), data={"_token": operator})
            assert nobody.status_code == 401, page.path
    assert {put.topic for put in rig.producer.puts} == {"push.action.v1"}
    assert {each.refused for each in rig.acted()} == {"foreign_form", "scope_missing"}
    assert len(rig.acted()) == 3 * len(forms)


async def test_a_pause_is_written_and_who_did_it_too() -> None:
    async with console() as rig, rig.browser() as client:
        token = await rig.signed_in(client, label="anna")
        answer = await client.post("/control/pause", data={**PAUSE, "_token": token})
        assert (answer.status_code, answer.headers["location"]) == (303, "/control")
        control, action = rig.producer.puts
        assert (control.topic, control.key) == ("push.control.v1", b"pause/news/apns/*")
        assert b"bad campaign" in (control.value or b"")
        assert action.topic == "push.action.v1"
        (told,) = rig.acted()
        assert (told.label, told.did, told.what, told.refused) == ("anna", "pause", "news/apns", "")


async def test_a_key_for_one_app_pauses_that_app_only() -> None:
    async with console() as rig, rig.browser() as client:
        token = await rig.signed_in(client, apps=("shop",))
        answer = await client.post("/control/pause", data={**PAUSE, "_token": token})
        assert (answer.status_code, rig.acted()[0].refused) == (403, "app_not_allowed")


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"a=1&a=2", 400), (b"a=%ff", 400), (b"&".join(b"f%d=1" % n for n in range(65)), 400), (b"x" * 65_537, 413)],
)
async def test_a_form_that_is_none_is_refused(body: bytes, status: int) -> None:
    async with console() as rig, rig.browser() as client:
        await rig.signed_in(client)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = await client.post("/control/pause", content=body, headers=headers)
    assert answer.status_code == status


async def test_json_is_no_form() -> None:
    async with console() as rig, rig.browser() as client:
        await rig.signed_in(client)
        assert (await client.post("/control/pause", json=PAUSE)).status_code == 415


async def test_every_answer_has_the_policy_and_no_page_stays_in_a_cache() -> None:
    async with console() as rig, rig.browser() as client:
        await rig.signed_in(client)
        rig.reports.all["n-1"] = report_of("n-1")
        for path in (*PAGES, "/reports/n-1", "/campaigns/x", "/sign-in", "/nowhere", "/reports/unknown"):
            answer = await client.get(path)
            assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY, path
            assert answer.headers["cache-control"] == "no-store", path
            assert answer.headers["x-content-type-options"] == "nosniff", path


async def test_files_are_named_by_their_content_and_kept_for_ever() -> None:
    async with console() as rig, rig.browser() as client:
        page = (await client.get("/sign-in")).text
        paths = re.findall(r'(?:href|src)="(/static/[^"]+)"', page)
        assert len(paths) == 3
        for path in paths:
            answer = await client.get(path)
            assert (answer.status_code, answer.headers["cache-control"]) == (200, "public, max-age=31536000, immutable")


def test_templates_have_no_inline_script_or_style_and_never_turn_the_escaping_off() -> None:
    for template in (files("pushcast.console") / "templates").iterdir():
        text = template.read_text()
        assert not re.search(r"<style|style=|\son[a-z]+=|javascript:|\|\s*safe|autoescape|Markup", text), template.name
        assert re.findall(r"<script", text) == (["<script"] if template.name == "base.html" else []), template.name


async def test_what_goes_wrong_is_a_page_that_says_what_to_do() -> None:
    async with console() as rig, rig.browser() as client:
        await rig.signed_in(client)
        for path, status, words in (
            ("/nowhere", 404, "there is no such page"),
            ("/reports/unknown", 404, "No reporter knows anything of unknown"),
            ("/reports?cursor=%21", 422, "cursor"),
            ("/reports?app=a&app=b", 400, "twice"),
        ):
            answer = await client.get(path)
            assert answer.status_code == status, path
            assert words in answer.text, path
        assert (await client.put("/control")).status_code == 405


async def test_an_error_of_ours_shows_a_number_and_not_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    async with console() as rig, rig.browser() as client:
        await rig.signed_in(client)

        async def broken(*_: object, **__: object) -> None:
            raise RuntimeError("a secret detail")

        monkeypatch.setattr(rig.reports, "listed", broken)
        answer = await client.get("/reports")
    assert answer.status_code == 500
    assert "secret" not in answer.text


async def first_event(client: httpx.AsyncClient, path: str) -> str:
    async with client.stream("GET", path) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        text = ""
        async for piece in answer.aiter_text():
            text += piece
            if "\n\n" in text:
                break
    return text


async def test_a_live_page_is_sent_as_a_whole_value() -> None:
    async with console() as rig, rig.browser() as client:
        await rig.signed_in(client)
        rig.reports.all["n-1"] = report_of("n-1\r\nevent: x")
        event = await first_event(client, "/live/reports/n-1")
        assert event.startswith("retry: 3000\nevent: page\nid: 1\ndata: ")
        assert len(re.findall(r"^event:", event, re.MULTILINE)) == 1
        assert all(line.startswith("data: ") for line in event.split("\n")[3:] if line)


async def test_a_stream_needs_a_session_and_ends_with_its_key() -> None:
    async with console() as rig, rig.browser() as client:
        assert (await client.get("/live/")).status_code == 401
        await rig.signed_in(client)
        async with client.stream("GET", "/live/") as answer:
            pieces = answer.aiter_text()
            await anext(pieces)
            for key_id in rig.keyring.records():
                rig.keyring.apply(key_id.encode(), None)
            async for _ in pieces:
                pass


async def test_a_stopping_console_ends_its_streams() -> None:
    rig = ConsoleRig()
    await rig.console.start("127.0.0.1", 0)
    async with rig.browser() as client:
        await rig.signed_in(client)
        async with client.stream("GET", "/live/") as answer:
            pieces = answer.aiter_text()
            await anext(pieces)
            await rig.console.close()
            async for _ in pieces:
                pass


async def test_a_visitor_who_leaves_before_the_first_value_is_no_error(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with console() as rig, rig.browser() as client:
        await rig.signed_in(client)
        asked, answer = asyncio.Event(), asyncio.Event()

        async def slow() -> dict[str, Any]:
            asked.set()
            await answer.wait()
            return standing_of()

        monkeypatch.setattr(rig.watch, "standing", slow)
        cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        _, writer = await asyncio.open_connection("127.0.0.1", rig.console.port)
        writer.write(f"GET /live/ HTTP/1.1\r\nHost: x\r\nCookie: {cookies}\r\n\r\n".encode())
        await asked.wait()
        writer.transport.abort()
        await asyncio.sleep(0.05)
        answer.set()
        while "live_now" not in dict(rig.observed):
            await asyncio.sleep(0.01)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
