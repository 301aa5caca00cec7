"""What a producer or an app may write, at its worst, wherever a page shows it."""

from __future__ import annotations

from browser.scenes import GOAL, USER
from pushcast.model.words import Platform
from pushcast.wire.actions import OperatorAction
from pushcast.wire.actions import encode as encode_action
from pushcast.wire.control import Halt, Kind, Name, Pause, Subject
from pushcast.wire.control import encode as encode_control
from twins.console import ConsoleRig, device_of, report_of

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
    f"/people?user={USER}&notification=n",
    "/control",
    "/dead-letters",
    "/health",
    "/actions",
    "/keys",
)


def write_everywhere(rig: ConsoleRig, attack: str) -> None:
    """Puts it into every field of every page in `WRITTEN`."""
    rig.reports.all = {
        GOAL: report_of(attack, app=attack, campaign=attack, not_planned={attack: 1}, **{"class": attack}),
    }
    words = ("app", "platform", "purpose", "locale", "time_zone", "app_version", "suspended_reason")
    rig.owned[USER] = [device_of(attack, suspended_at=1, **dict.fromkeys(words, attack))]
    rig.reports.history = [
        {
            "notification": attack,
            "device": attack,
            "platform": attack,
            "outcome": attack,
            "reason": attack,
            "provider_status": 410,
            "created_at": None,
            "ended_at": None,
        }
    ]
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
        }
    pause = Pause(1, attack, attack)
    rig.control.apply(Subject(Kind.PAUSE, "news", Platform.APNS).key(), encode_control(pause))
    rig.control.apply(Name(Kind.HOLD, attack).key(), encode_control(Halt(1, None, attack, attack)))
    assert rig.groups is not None
    rig.groups["groups"][0] |= {"group": f"pushcast-register{attack}", "lag": 3, "members": 0, "topics": {attack: 3}}
    rig.actions.apply(b"k", encode_action(OperatorAction(1, attack, attack, attack, attack, attack)))
