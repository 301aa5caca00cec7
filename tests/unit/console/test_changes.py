"""What an action changed: how it stood before and after stands in its record, and on the page Actions."""

from __future__ import annotations

import pytest

from pushcast.model.words import Platform
from pushcast.wire.control.control import CampaignCancel, Halt, Kind, Name, Pause, Subject, encode
from twins.console import ConsoleRig, console

PAUSE = {"app": "news", "platform": "apns", "lane": "", "comment": "wrong picture"}


def _changes(rig: ConsoleRig) -> list[tuple[str, str]]:
    return [(each.before, each.after) for each in rig.acted()]


async def test_a_pause_and_its_end_say_what_they_changed() -> None:
    async with console() as rig, rig.browser() as client:
        token = await rig.signed_in(client)
        await client.post("/control/pause", data={**PAUSE, "_token": token})
        pause = Pause(rig.now_ms - 60_000, "anna", "wrong picture")
        rig.control.apply(Subject(Kind.PAUSE, "news", Platform.APNS).key(), encode(pause))
        await client.post("/control/resume", data={**PAUSE, "_token": token})
    assert _changes(rig) == [
        ("not paused", "paused: wrong picture"),
        ("paused since 14:12:20: wrong picture", "not paused"),
    ]


@pytest.mark.parametrize(
    ("kind", "do", "before", "after"),
    [
        (None, "hold", "goes on", "held"),
        (Kind.HOLD, "resume", "held since 14:12:20", "goes on"),
        (Kind.HOLD, "stop", "held since 14:12:20", "stopped"),
        (Kind.STOP, "resume", "stopped since 14:12:20", "stopped since 14:12:20"),
    ],
)
async def test_a_switch_of_a_broadcast_says_how_it_stood(kind: Kind | None, do: str, before: str, after: str) -> None:
    async with console() as rig, rig.browser() as client:
        token = await rig.signed_in(client)
        if kind is not None:
            rig.control.apply(Name(kind, "b-1").key(), encode(Halt(rig.now_ms - 60_000)))
        await client.post("/control/broadcast", data={"id": "b-1", "do": do, "_token": token})
    assert _changes(rig) == [(before, after)]


async def test_a_campaign_is_cancelled_once_its_name_is_typed() -> None:
    path, reason = "/campaigns/cup%2Ffinal/cancel", {"do": "cancel", "comment": "wrong score"}
    async with console() as rig, rig.browser() as client:
        token = await rig.signed_in(client)
        wrong = await client.post(path, data={**reason, "typed": "cup", "_token": token})
        right = await client.post(path, data={**reason, "typed": "cup/final", "_token": token})
        name = Name(Kind.CANCEL, "cup/final")
        rig.control.apply(name.key(), encode(CampaignCancel(by="anna", comment="wrong score")))
        page = (await client.get("/campaigns/cup%2Ffinal")).text
        await client.post(path, data={"do": "end", "_token": token})
    assert (wrong.status_code, right.headers["location"]) == (400, "/campaigns/cup%2Ffinal")
    assert "Cancelled by anna: wrong score." in page
    assert "Let what comes of it leave again" in page
    assert [(put.key, put.value is None) for put in rig.producer.puts if put.topic == "push.control.v1"] == [
        (name.key(), False),
        (name.key(), True),
    ]
    assert _changes(rig) == [("", ""), ("leaves", "cancelled: wrong score"), ("cancelled", "leaves")]


async def test_an_action_that_was_refused_changed_nothing() -> None:
    async with console() as rig, rig.browser() as client:
        token = await rig.signed_in(client)
        await client.post("/control/pause", data={**PAUSE, "app": "nobody", "_token": token})
    assert [(each.refused, each.before, each.after) for each in rig.acted()] == [("not_found", "", "")]


async def test_the_page_shows_before_and_after_and_says_when_nothing_changed() -> None:
    async with console() as rig, rig.browser() as client:
        token = await rig.signed_in(client)
        await client.post("/control/pause", data={**PAUSE, "_token": token})
        rig.control.apply(Name(Kind.STOP, "b-1").key(), encode(Halt(rig.now_ms - 60_000)))
        await client.post("/control/broadcast", data={"id": "b-1", "do": "stop", "_token": token})
        for put in [each for each in rig.producer.puts if each.topic == "push.action.v1"]:
            rig.actions.apply(put.key, put.value)
        page = (await client.get("/actions")).text
    assert "not paused</span> \N{RIGHTWARDS ARROW} paused: wrong picture" in page
    assert "nothing: stopped since 14:12:20" in page
