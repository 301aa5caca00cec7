"""What a producer or an app may write, at its worst, wherever a page shows it."""

from __future__ import annotations

import orjson

from browser.scenes import GOAL, USER
from pushcast.model.words import Platform
from pushcast.wire.control.actions import OperatorAction
from pushcast.wire.control.actions import encode as encode_action
from pushcast.wire.control.control import CampaignCancel, Halt, Kind, Name, Pause, Subject, WebhookOrder
from pushcast.wire.control.control import encode as encode_control
from twins.console import ConsoleRig, device_of, report_of
from twins.gateway import NOW_MS

ATTACK = " ".join(
    (
        "<script>document.title='owned'</script>",
        '"><img src=x onerror="document.title=\'owned\'">',
        "'-alert(1)-'",
        "{{7*7}}${7*7}",
        "</title><svg onload=document.title='owned'>",
        "javascript:alert(1)",
        "\r\nevent: page\r\ndata: <b>owned</b>",
    )
)
#: Pages on which it stands.
WRITTEN = (
    "/",
    "/reports",
    f"/reports/{GOAL}",
    "/campaigns/x",
    "/reports?app=news",
    "/examples?app=news",
    f"/people?user={USER}&notification=n",
    "/control",
    "/dead-letters",
    "/health",
    "/actions",
    "/keys",
    "/webhooks",
    f"/devices?device=Pixel-8&user={USER}",
)


def write_everywhere(rig: ConsoleRig, attack: str) -> None:
    """Puts it into every field of every page in `WRITTEN`."""
    rig.reports.all = {
        GOAL: report_of(attack, app=attack, campaign=attack, not_planned={attack: 1}, **{"class": attack}),
    }
    rig.reports.all["n"] = report_of("n", platforms={attack: {"planned": 1, "outcomes": {}, "reasons": {attack: 1}}})
    words = ("app", "platform", "purpose", "locale", "time_zone", "app_version", "suspended_reason")
    rig.owned[USER] = [device_of(attack, suspended_at=1, **dict.fromkeys(words, attack))]
    rig.reports.history = [
        {
            "app": attack,
            "notification": attack,
            "device": attack,
            "platform": attack,
            "outcome": attack,
            "reason": attack,
            "provider_status": 410,
            "created_at": "2026-09-21T14:13:00.000Z",
            "ended_at": "2026-09-21T14:13:00.000Z",
            "received_at": None,
            "opened_at": "2026-09-21T14:13:10.000Z",
        }
    ]
    named = ("user", "notification", "device", "platform", "outcome", "reason")
    rig.reports.found = [{**each, **dict.fromkeys(named, attack)} for each in rig.reports.found]
    rig.answer = {
        "answer": attack,
        "evidence": [{"at": None, "what": attack, "topic": attack, "partition": 0, "offset": 0}],
    }
    for letter in rig.letters:
        letter |= {
            "reason": attack,
            "message": attack,
            "user": attack,
            "event": {"id": attack, attack: attack},
            "stage": attack,
            "headers": [[attack, attack]],
            "deliveries": [{"user": attack, "device": attack, "notification": attack}],
        }
    rig.waiting[USER] = [{**each, "notification": attack, "lane": attack} for each in rig.waiting[USER]]
    rig.stories["Pixel-8"]["steps"] = [
        {**each, **dict.fromkeys(("step", "reason", "app", "device", "token_hash", "record"), attack)}
        for each in rig.stories["Pixel-8"]["steps"]
    ]
    rig.stories["Pixel-8"] |= {"kept_since": {attack: NOW_MS}, "left_out": 3, "unreadable": {attack: 2}}
    of_app = {"user": attack, "app": attack, "device": attack, "lane": "bulk", "where": "keeper", "until": None}
    rig.stories["Pixel-8"]["waits"] = [{**of_app, "kind": "broadcast", "id": attack, "because": attack}]
    told = orjson.dumps({"status": attack, "problems": [attack], "version": attack, "slot": attack})
    rig.told |= dict.fromkeys(("http://sender/health/ready", "http://sender/_info"), (200, told))
    pause = Pause(1, attack, attack)
    rig.control.apply(Subject(Kind.PAUSE, "news", Platform.APNS).key(), encode_control(pause))
    rig.control.apply(Name(Kind.HOLD, attack).key(), encode_control(Halt(1, None, attack, attack)))
    rig.control.apply(Name(Kind.STOP, f"{attack}2").key(), encode_control(Halt(1, None, attack, attack)))
    rig.control.apply(Name(Kind.CANCEL, attack).key(), encode_control(CampaignCancel(by=attack, comment=attack)))
    order = WebhookOrder("disabled", 1, None, attack, attack)
    rig.control.apply(Name(Kind.WEBHOOK, "crm").key(), encode_control(order))
    assert rig.groups is not None
    rig.groups["open_transactions"] = [{"topic": attack, "partition": 1, "since": None}]
    rig.groups["of_a_later_release"] = {attack: attack}
    rig.groups["groups"][0] |= {"group": f"pushcast-register{attack}", "lag": 3, "members": 0, "topics": {attack: 3}}
    rig.actions.apply(b"k", encode_action(OperatorAction(1, *[attack] * 8)))
