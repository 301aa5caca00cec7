"""Pages of what the API really answers: a field that it no longer has is an error here."""

from __future__ import annotations

from pathlib import Path

from pushcast.audit.device_history import History
from pushcast.audit.kept import DeviceWait
from pushcast.register.history import HistoryStep, KnownDevice
from pushcast.report import answers
from pushcast.report.notes import Note, ended_key
from pushcast.report.rows import Delivery
from pushcast.settle.letters import Raw, read_letter
from pushcast.settle.shown import described
from pushcast.wire.devices.devices import row_columns, shown
from twins.console import console
from twins.gateway import NOW_MS

EXAMPLES = Path(__file__).parents[3] / "schemas" / "examples"


async def test_a_report_of_the_store() -> None:
    note = Note("b-1", "broadcast", "news", "default", "cup", created_at=NOW_MS, planned={"apns": 20}, matched=21)
    note.ended = {ended_key("apns", "accepted", None): 19, ended_key("apns", "dead", "unknown_outcome"): 1}
    note.held_out, note.latency, note.within, note.received = 1, {"60": 19}, [19, 19, 19], 4
    note.variants, note.planned_variants = {"<b>\0accepted": 19, "<b>\0opened": 7}, {"<b>": 20}
    async with console() as rig, rig.browser() as client:
        await rig.signed_in(client)
        rig.reports.all["b-1"] = answers.report_of(note, NOW_MS, [2])
        for path in ("/reports/b-1", "/reports", "/campaigns/cup", "/"):
            answer = await client.get(path)
            assert answer.status_code == 200, path
            assert "b-1" in answer.text, path
        report = (await client.get("/reports/b-1")).text
    assert "20 of 20 ended." in report
    assert "unknown outcome" in report
    assert "received" in report
    assert '<th scope="row">&lt;b&gt;</th>' in report
    assert '<td class="n">20</td><td class="n">7</td>' in report


async def test_a_device_and_a_delivery() -> None:
    row = row_columns(bytes.fromhex((EXAMPLES / "device_row.hex").read_text()))
    delivery = Delivery(
        0, "n-1", "notification", "news", "d-1", "apns", "accepted", None, 200, 1, NOW_MS, NOW_MS, NOW_MS + 90
    )
    async with console() as rig, rig.browser() as client:
        await rig.signed_in(client)
        rig.owned["u-1"] = [{"user": "u-1", **shown(row)}]
        rig.reports.history = [answers.delivery_of(b"x" * 16, delivery)]
        page = (await client.get("/people?user=u-1")).text
    assert str(row["device"]) in page
    assert "90 ms" in page


async def test_a_dead_letter() -> None:
    headers = [("push-reason", b"unknown_field"), ("push-source-topic", b"push.notification.normal.v1")]
    raw = Raw("push.notification.normal.v1.dlq", 3, 7, NOW_MS, b"u1", b'{"id":"n-1","titel":"Goal!"}', headers)
    async with console() as rig, rig.browser() as client:
        await rig.signed_in(client)
        rig.letters = [described(read_letter(raw))]
        answer = await client.get("/dead-letters")
    assert answer.status_code == 200
    assert "titel" in answer.text


async def test_a_dead_letter_that_nobody_can_read_shows_its_bytes_and_no_token() -> None:
    token = b"c4" * 32
    value = b'{"id":"n-1","token":"' + token + b'","title":"Goal!'
    raw = Raw("push.notification.normal.v1.dlq", 3, 7, NOW_MS, b"u1", value, [("push-reason", b"not_json")])
    async with console() as rig, rig.browser() as client:
        await rig.signed_in(client)
        rig.letters = [described(read_letter(raw))]
        page = (await client.get("/dead-letters")).text
    assert "7b 22 69 64 22 3a" in page
    assert "{&#34;id&#34;:&#34;n-1&#34;" in page
    assert "c4c4c4" not in page
    assert "63 34 63 34" not in page


async def test_the_story_of_a_device() -> None:
    step = HistoryStep(
        NOW_MS,
        "suspended",
        "device_unregistered",
        KnownDevice("u-1", "news", "d-1"),
        "ab" * 32,
        "push.token.hold.v1",
        3,
        77,
        {},
    )
    async with console() as rig, rig.browser() as client:
        await rig.signed_in(client)
        wait = DeviceWait("u-1", "news", "d-1", "broadcast", "b-1", "bulk", "quiet_hours", NOW_MS + 60_000)
        rig.stories["d-1"] = History([step], {"push.token.hold.v1": NOW_MS}, waits=[wait]).to_dict()
        page = (await client.get("/devices?device=d-1&user=u-1")).text
        unknown = (await client.get("/devices?device=d-2")).text
        assert (await client.get("/devices")).status_code == 200
    assert "device unregistered" in page
    assert "push.token.hold.v1/3/77" in page
    assert "broadcast b-1</b>: quiet hours" in page
    assert "The topics have nothing of it." in unknown
