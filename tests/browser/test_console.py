"""The console in a real Chromium. Numbers are those of the acceptance facts (doors.md, D)."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from browser.hostile import ATTACK, WRITTEN, write_everywhere
from browser.scenes import GOAL, OPTIONS, PATHS, USER, fill, goal, histogram
from browser.screenshots import compose
from browser.visitor import NARROW, WIDE, Visitor, visiting
from pushcast.model.words import Platform
from pushcast.wire import topics
from pushcast.wire.control.api_keys import encode_record
from pushcast.wire.control.control import Kind, Subject
from twins.console import ConsoleRig, console, report_of


@pytest.mark.parametrize(("scheme", "size"), [("light", WIDE), ("dark", NARROW)])
async def test_axe_finds_no_barrier_on_any_page(scheme: str, size: tuple[int, int]) -> None:
    async with console(options=OPTIONS) as rig, visiting(rig, scheme=scheme, size=size) as visitor:
        await fill(rig)
        await visitor.sign_in()
        for name, path in PATHS.items():
            await visitor.open(path)
            assert await _barriers(visitor) == [], name
        assert visitor.complaints == []


async def test_axe_finds_no_barrier_where_there_is_nothing_yet_or_something_was_opened() -> None:
    async with console() as rig, visiting(rig, scheme="dark") as visitor:
        rig.letters = []
        await visitor.sign_in()
        for path in (
            "/",
            "/reports",
            "/people",
            "/people?user=u-1",
            "/devices",
            "/control",
            "/dead-letters",
            "/health",
        ):
            await visitor.open(path)
            assert await _barriers(visitor) == [], path
        for path in ("/webhooks", "/actions", "/reports/unknown", "/nowhere"):
            await visitor.open(path)
            assert await _barriers(visitor) == [], path
        await fill(rig)
        await visitor.open("/send")
        await compose(visitor)
        await visitor.page.get_by_text("In de", exact=True).click()
        assert await _barriers(visitor) == [], "composed"
        for path in ("/campaigns/cup-final", f"/reports/{GOAL}", f"/people?user={USER}", "/dead-letters"):
            await visitor.open(path)
            await visitor.page.locator("details").evaluate_all("found => found.forEach(each => (each.open = true))")
            assert await _barriers(visitor) == [], path


async def _barriers(visitor: Visitor) -> list[tuple[str, str, str]]:
    """What axe says of the page that is shown."""
    axe = pytest.importorskip(
        "axe_playwright_python.async_playwright", reason="axe is not installed: barriers are not looked for"
    )
    found = await axe.Axe().run(visitor.page)
    return [
        (each["id"], node["html"][:120], node.get("failureSummary", "")[:300])
        for each in found.response["violations"]
        for node in each["nodes"][:3]
    ]


async def test_c1_what_producers_and_apps_write_shows_as_text_and_the_policy_is_never_broken() -> None:
    async with console(options=OPTIONS) as rig, visiting(rig) as visitor:
        await fill(rig)
        await visitor.sign_in()
        write_everywhere(rig, ATTACK)
        for path in WRITTEN:
            await visitor.open(path)
            await visitor.page.get_by_text("Sign out").wait_for()
            assert await visitor.page.title() != "owned", path
            assert await visitor.page.locator("img, script:not([src]), svg[onload]").count() == 0, path
        await visitor.open("/dead-letters")
        assert " ".join(ATTACK.split()) in " ".join((await visitor.page.locator("main").inner_text()).split())
        assert visitor.complaints == []


async def test_c1_what_a_visitor_types_shows_as_text_too() -> None:
    async with console() as rig, visiting(rig) as visitor:
        await visitor.sign_in()
        await visitor.open("/send")
        for field in ("user", "title", "subtitle", "body", "link", "image", "campaign"):
            await visitor.page.locator(f"[name={field}]").fill(ATTACK.replace("\r\n", " "))
        await visitor.page.get_by_role("button", name="Check").click()
        await visitor.page.locator(".phone:not(.ghost), .problem").first.wait_for()
        assert await visitor.page.title() != "owned"
        assert await visitor.page.locator("main img, script:not([src]), svg[onload]").count() == 0
        for path in ("/people?user=", "/devices?device=", "/reports?campaign=", "/reports/", "/sign-in?next="):
            await visitor.open(f"{path}{quote(ATTACK, safe='')}")
            assert await visitor.page.title() != "owned", path
            assert await visitor.page.locator("img, script:not([src]), svg[onload]").count() == 0, path
        refused = [each for each in visitor.complaints if "the server responded with a status of" not in each]
        assert refused == []


async def test_a_live_campaign_reaches_its_end_without_a_reload() -> None:
    async with console() as rig, visiting(rig) as visitor:
        await fill(rig)
        await visitor.sign_in()
        await visitor.open(f"/reports/{GOAL}")
        await visitor.page.evaluate("window.sameDocument = true")
        await visitor.page.get_by_text("on its way").wait_for()
        await visitor.page.get_by_text("The numbers").first.click()
        rig.reports.all[GOAL] = goal() | {"state": "settled", "open": 0, "outcomes": {"accepted": 812_345}}
        await visitor.page.get_by_text("812,345 of 812,345 ended").wait_for()
        assert await visitor.page.evaluate("window.sameDocument")
        assert await visitor.page.locator("details[data-key=arrival-numbers]").get_attribute("open") is not None
        assert visitor.complaints == []


@pytest.mark.parametrize("javascript", [True, False])
async def test_a_reason_leads_to_an_example_and_to_why_it_ended_so(javascript: bool) -> None:
    async with console(options=OPTIONS) as rig, visiting(rig, javascript=javascript) as visitor:
        await fill(rig)
        await visitor.sign_in()
        await visitor.open(f"/reports/{GOAL}")
        await visitor.page.get_by_role("link", name="device unregistered").last.click()
        await visitor.page.get_by_role("heading", name="Device unregistered, fcm").wait_for()
        assert rig.reports.wanted[-1].reason == "device_unregistered"
        await visitor.page.get_by_role("row", name=USER).get_by_role("link", name="why?").click()
        await visitor.page.get_by_text("Google answered 404 UNREGISTERED").wait_for()
        times = await visitor.page.locator(".steps time").evaluate_all("found => found.map(each => each.dateTime)")
        assert times == sorted(times)
        assert visitor.complaints == []


async def test_a_console_that_is_gone_is_told_and_found_again() -> None:
    first, second = ConsoleRig(), ConsoleRig()
    await first.console.start("127.0.0.1", 0)
    async with visiting(first) as visitor:
        await visitor.sign_in()
        live = visitor.page.get_by_text("Live.", exact=True)
        await live.wait_for()
        await first.console.close()
        await visitor.page.get_by_text("Not live since").wait_for()
        for key_id, key in first.keyring.records().items():
            second.keyring.apply(key_id.encode(), encode_record(key))
        await second.console.start("127.0.0.1", first.console.port)
        try:
            await live.wait_for()
        finally:
            await second.console.close()


async def test_an_operator_pauses_and_resumes_an_app() -> None:
    async with console() as rig, visiting(rig) as visitor:
        await _pauses_and_resumes(rig, visitor)
        assert visitor.complaints == []


async def test_without_javascript_every_page_is_whole_and_every_form_works() -> None:
    async with console(options=OPTIONS) as rig, visiting(rig, javascript=False) as visitor:
        await fill(rig)
        await visitor.sign_in()
        for name, path in PATHS.items():
            await visitor.open(path)
            assert len(await visitor.page.locator("main").inner_text()) > 80, name
        await visitor.open(f"/reports/{GOAL}")
        assert await visitor.page.locator(".plot svg path").count() == 2 * 2
        await visitor.page.get_by_text("The numbers").first.click()
        assert await visitor.page.locator(".plot tbody tr").first.is_visible()
        rig.control.apply(Subject(Kind.PAUSE, "news", Platform.APNS).key(), None)
        await _pauses_and_resumes(rig, visitor)


async def _pauses_and_resumes(rig: ConsoleRig, visitor: Visitor) -> None:
    if "/sign-in" in visitor.page.url or visitor.page.url == "about:blank":
        await visitor.sign_in()
    await visitor.open("/control")
    await visitor.page.get_by_label("App").select_option("news")
    await visitor.page.get_by_label("Platform").select_option("apns")
    await visitor.page.get_by_label("Reason").fill("wrong picture")
    _follow(rig)
    await visitor.page.get_by_role("button", name="Pause").click()
    card = visitor.page.locator(".cards li", has_text="wrong picture")
    await card.wait_for()
    assert [(each.did, each.what) for each in rig.acted()] == [("pause", "news/apns")]
    await card.get_by_role("button", name="Resume").click()
    await card.wait_for(state="detached")
    assert [each.did for each in rig.acted()] == ["pause", "resume"]


def _follow(rig: ConsoleRig) -> None:
    """As `ControlTail` does: what is written is known."""
    put = rig.producer.put

    def followed(topic: str, partition: int, key: bytes, value: bytes | None, headers: Any = None) -> Any:
        if topic == topics.CONTROL:
            rig.control.apply(key, value)
        return put(topic, partition, key, value, headers)

    rig.producer.put = followed  # type: ignore[method-assign]


async def test_a_notification_is_checked_shown_and_sent() -> None:
    async with console() as rig, visiting(rig) as visitor:
        await visitor.sign_in()
        await visitor.open("/send")
        page = visitor.page
        await page.get_by_label("User id").fill("u-1")
        await page.get_by_label("App", exact=True).select_option("news")
        await page.get_by_label("Title").first.fill("Goal!")
        await page.get_by_label("Body", exact=True).fill("1:0 <b>in the 88th minute</b>")
        await page.get_by_label("Dry run").uncheck()
        await page.get_by_role("button", name="Check").click()
        await page.locator(".phone.apns", has_text="1:0 <b>in the 88th minute</b>").wait_for()
        assert rig.producer.puts == []
        note_id = await page.locator("input[name=id]").input_value()
        await page.get_by_role("button", name="Send", exact=True).click()
        await page.wait_for_url(f"**/people?user=u-1&notification={note_id}")
        sent = [json.loads(put.value or b"") for put in rig.producer.puts if put.topic.startswith("push.notification.")]
        assert [each["id"] for each in sent] == [note_id]
        assert (sent[0]["title"], sent[0]["body"]) == ("Goal!", "1:0 <b>in the 88th minute</b>")
        assert visitor.complaints == []


async def test_a_plot_is_read_with_the_arrow_keys() -> None:
    async with console() as rig, visiting(rig) as visitor:
        await fill(rig)
        await visitor.sign_in()
        await visitor.open(f"/reports/{GOAL}")
        plot = visitor.page.locator("[data-plot=arrival]")
        await plot.locator("> svg").focus()
        await visitor.page.keyboard.press("ArrowRight")
        first = await plot.locator(".readout").inner_text()
        await visitor.page.keyboard.press("ArrowRight")
        second = await plot.locator(".readout").inner_text()
    assert first.startswith("within ")
    assert first != second


async def test_the_time_axis_of_a_person_is_read_with_the_arrow_keys_and_its_span_chosen_by_a_link() -> None:
    async with console() as rig, visiting(rig) as visitor:
        await fill(rig)
        await visitor.sign_in()
        await visitor.open(f"/people?user={USER}")
        axis = visitor.page.locator("[data-plot=axis]")
        await axis.locator("> svg").focus()
        await visitor.page.keyboard.press("ArrowRight")
        assert "line-up: expired" in await axis.locator(".readout").inner_text()
        assert await axis.locator(".life").count() == 3  # of two devices, one of which was suspended
        await visitor.page.get_by_role("link", name="week").click()
        await visitor.page.get_by_text("the last week", exact=True).wait_for()
        assert visitor.complaints == []


async def test_lines_of_a_plot_are_told_apart_without_their_colour() -> None:
    async with console() as rig, visiting(rig) as visitor:
        await fill(rig)
        await visitor.sign_in()
        edges = visitor.page.locator("[data-plot=rates] .lines .edge")
        dashes = await edges.evaluate_all("found => found.map(each => getComputedStyle(each).strokeDasharray)")
        legend = visitor.page.locator("[data-plot=rates] .legend .edge")
        shown = await legend.evaluate_all("found => found.map(each => getComputedStyle(each).strokeDasharray)")
    assert len(set(dashes)) == len(dashes) == 2
    assert sorted(shown) == sorted(dashes)


async def test_no_page_is_wider_than_a_phone() -> None:
    async with console(options=OPTIONS) as rig, visiting(rig, size=NARROW) as visitor:
        await fill(rig)
        rig.reports.all["x" * 256] = report_of("x" * 256, latency_histogram=histogram(990, 100))
        await visitor.sign_in()
        for name, path in {**PATHS, "long": f"/reports/{'x' * 256}"}.items():
            await visitor.open(path)
            assert await visitor.page.evaluate("document.documentElement.scrollWidth") <= NARROW[0], name
