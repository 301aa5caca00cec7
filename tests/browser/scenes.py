"""A console with something on every page, as a busy evening has it."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any, Final

from pushcast.console.watch import Process
from pushcast.model.words import Lane, Platform
from pushcast.settle.hexdump import dump
from pushcast.wire.control.actions import OperatorAction, encode
from pushcast.wire.control.api_keys import ApiKey, Hash, Scope, encode_record
from pushcast.wire.control.control import BreakerRecord, CanaryWord, Halt, Kind, Name, Pause, Subject, WebhookOrder
from pushcast.wire.control.control import encode as encode_control
from twins.console import METRICS, ConsoleRig, device_of, report_of, standing_of
from twins.gateway import NOW_MS

USER: Final = "u-1042"
GOAL: Final = "match-4711-goal-1"
#: Every page with something on it.
PATHS: Final = {
    "sign-in": "/sign-in",
    "now": "/",
    "reports": "/reports",
    "report": f"/reports/{GOAL}",
    "broadcast": "/reports/weekend-preview",
    "campaign": "/campaigns/cup-final",
    "examples": f"/examples?report={GOAL}&platform=fcm&reason=device_unregistered",
    "person": f"/people?user={USER}&notification={GOAL}",
    "device": f"/devices?device=Pixel-8&user={USER}",
    "send": "/send",
    "control": "/control",
    "dead-letters": "/dead-letters",
    "health": "/health",
    "webhooks": "/webhooks",
    "keys": "/keys",
    "actions": "/actions",
}


def histogram(total: int, middle_ms: float) -> list[dict[str, float]]:
    """So many latencies around a middle, as a report tells them."""
    found, left = [], total
    for step in range(-20, 21):
        count = min(left, round(total * math.exp(-(step**2) / 60) / 13.7))
        left -= count
        found.append({"up_to_ms": round(middle_ms * 2 ** (step / 8), 1), "count": count})
    found[-1]["count"] += left
    return [each for each in found if each["count"]]


def goal(**more: Any) -> dict[str, Any]:
    """The report of a goal that went to 812,345 devices."""
    outcomes = {"accepted": 797_102, "invalid": 2201, "rejected": 12, "expired": 1030}
    platforms = {
        "apns": {
            "planned": 501_000,
            "outcomes": {"accepted": 490_102, "invalid": 1801, "expired": 430},
            "reasons": {"device_unregistered": 1801, "expired": 430},
        },
        "fcm": {
            "planned": 288_345,
            "outcomes": {"accepted": 284_000, "invalid": 400, "rejected": 12, "expired": 600},
            "reasons": {"device_unregistered": 400, "payload_too_large": 12, "expired": 600},
        },
        "webpush": {"planned": 23_000, "outcomes": {"accepted": 23_000}, "reasons": {}},
    }
    return report_of(
        GOAL,
        campaign="cup-final",
        planned=812_345,
        open=12_000,
        state="sending",
        outcomes=outcomes,
        platforms=platforms,
        not_planned={"no_devices": 51, "duplicate": 3},
        latency_ms={"p50": 842.0, "p90": 1903.0, "p99": 7211.0, "relative_error": 0.0443},
        latency_histogram=histogram(797_102, 842),
        within_seconds={"10": 0.9971, "60": 1.0, "120": 1.0},
        **more,
    )


class Speeds:
    """How fast urgent deliveries were accepted so far, as a reporter counts it."""

    def __init__(self) -> None:
        self._within: Counter[str] = Counter()

    def page(self, accepted: int, strain: float) -> bytes:
        """Its metrics, after so many more; `strain` 1: as slow as in the worst minute, 0: as usual."""
        for bound, (usual, worst) in SPEEDS.items():
            self._within[bound] += round(accepted * (usual + (worst - usual) * strain))
        lines = (
            f'pushcast_accepted_seconds_bucket{{lane="urgent",le="{bound}"}} {count}\n'
            for bound, count in self._within.items()
        )
        return "".join(lines).encode()


#: Shares of urgent deliveries that were accepted within so many seconds, usually and in the worst minute.
SPEEDS: Final = {
    "0.2": (0.3, 0.1),
    "0.35": (0.81, 0.4),
    "0.5": (0.93, 0.7),
    "1.0": (0.985, 0.9),
    "2.0": (0.999, 0.97),
    "5.0": (1, 0.999),
    "+Inf": (1, 1),
}


async def fill(rig: ConsoleRig) -> None:
    """Ten minutes of an evening. Afterwards it is 14:13 on the rig's clock."""
    reports = rig.reports.all
    reports[GOAL] = goal()
    reports["weekend-preview"] = report_of(
        "weekend-preview",
        kind="broadcast",
        campaign="cup-final",
        matched=20_000,
        held_out=400,
        variants={
            "short": {"planned": 9_500, "outcomes": {"accepted": 9_200, "invalid": 300}, "received": 0, "opened": 812},
            "long": {
                "planned": 9_600,
                "outcomes": {"accepted": 9_200, "invalid": 300, "dead": 100},
                "received": 0,
                "opened": 640,
            },
        },
        planned=19_100,
        outcomes={"accepted": 18_400, "invalid": 600, "dead": 100},
        platforms={
            "apns": {"planned": 19_100, "outcomes": {"accepted": 18_400, "invalid": 600, "dead": 100}, "reasons": {}}
        },
        latency_ms={"p50": 5200.0, "p90": 9400.0, "p99": 14_700.0, "relative_error": 0.0443},
        latency_histogram=histogram(18_400, 5200),
    )
    for number, words in enumerate(("chat-9f21", "order-456-shipped", "two-factor-77", "digest-tuesday")):
        reports[words] = report_of(words, planned=4 - number, outcomes={"accepted": 4 - number}, platforms={})
    accepted = invalid = 0
    urgent = Speeds()
    rig.now_ms = NOW_MS - 600_000
    for step in range(120):
        burst = 2600 * math.exp(-((step - 78) ** 2) / 40) if step > 60 else 0.0
        more = round(5 * (340 + 120 * math.sin(step / 11) + 25 * (step % 5) + burst))
        accepted += more
        invalid += round(5 * (9 + burst / 60))
        rig.told["http://sender/metrics"] = (
            200,
            (METRICS % (accepted, invalid, 0.2)).encode() + urgent.page(more // 9, burst / 2600),
        )
        if step == 119:
            _webhooks(rig)
            _processes(rig)
        rig.now_ms += 5000
        await rig.watch.look()
    rig.groups = standing_of(parked=412, dead_letters_last_hour={"push.notification.normal.v1.dlq": 3})
    rig.groups["groups"][2] |= {
        "lag": 1840,
        "oldest_at": "2026-09-21T14:13:18.000Z",
        "topics": {"push.notification.normal.v1": 1840},
        "partitions": {"0": 41, "1": 38, "2": 52, "3": 1597, "4": 29, "6": 44, "7": 39},
    }
    rig.groups["groups"][4] |= {
        "lag": 31,
        "oldest_at": "2026-09-21T14:13:19.000Z",
        "topics": {"push.send.apns.urgent.v1": 31},
        "partitions": {"3": 27, "5": 4},
    }
    _control(rig)
    _person(rig)
    _examples(rig)
    _letters(rig)
    for at, who, did, what, refused, before, after in (
        (
            47,
            "ben",
            "redrive",
            "push.notification.normal.v1, unknown_field",
            "",
            "12 dead letters",
            "11 of them sent again",
        ),
        (12, "anna", "pause", "/control/pause", "foreign_form", "", ""),
        (9, "anna", "switch_broadcast", "weekend-preview", "", "goes on", "held"),
        (4, "anna", "pause", "news/fcm/bulk", "", "not paused", "paused: wrong title in the digest"),
        (2, "ben", "send", "notification test-7f3a", "", "", "sent as a dry run"),
    ):
        done = OperatorAction(NOW_MS - at * 60_000, f"key-{who}", who, did, what, refused, "127.0.0.1", before, after)
        rig.actions.apply(b"k", encode(done))
    _keys(rig)


#: For `console(options=…)`: what the pages of a busy evening need of the configuration.
OPTIONS: Final = {
    "webhooks": {
        name: {
            "url": f"https://{host}/push",
            "secret_file": f"{name}.whsec",
            "events": events,
            "allowed_hosts": [host],
        }
        for name, host, events in (
            ("billing", "billing.example", ["deliveries.ended"]),
            ("crm", "crm.example", ["deliveries.ended", "tokens.invalid"]),
            ("on-call", "alarm.example", ["breaker.changed", "canary.failed"]),
        )
    }
}


def _webhooks(rig: ConsoleRig) -> None:
    lines = (
        f'pushcast_webhook_lag_records{{endpoint="{name}"}} {lag}\n'
        f'pushcast_webhook_oldest_event_seconds{{endpoint="{name}"}} {age}\n'
        f'pushcast_webhook_requests_total{{endpoint="{name}",result="ok"}} {taken}\n'
        f'pushcast_webhook_requests_total{{endpoint="{name}",result="http_503"}} {failed}\n'
        for name, lag, age, taken, failed in (("billing", 0, 0, 8120, 0), ("crm", 18_204, 372, 7302, 9))
    )
    status, page = rig.told["http://sender/metrics"]
    rig.told["http://sender/metrics"] = status, page + "".join(lines).encode()
    order = WebhookOrder("disabled", NOW_MS - 7_200_000, None, "the endpoint answered 410 Gone", "reporter 71@eu-1")
    rig.control.apply(Name(Kind.WEBHOOK, "on-call").key(), encode_control(order))


def _processes(rig: ConsoleRig) -> None:
    """One of each role; a planner is behind, and another machine's sender is silent."""
    late = "the oldest unfinished record of pushcast-plan-normal is 41 s old"
    for name, state, problems in (
        ("sender-urgent", "ok", []),
        ("planner-normal", "degraded", [late]),
        ("registrar", "ok", []),
        ("10.0.3.12:9464", "silent", []),
    ):
        url = "http://sender" if name == "sender-urgent" else f"http://{name}"
        if name != "sender-urgent":
            rig.processes.append(Process(name, url, f"{name}:1"))
        if state == "silent":
            continue
        ready = {"status": state, "problems": problems}
        rig.told[f"{url}/health/ready"] = 200, json.dumps(ready).encode()
        rig.told[f"{url}/_info"] = 200, json.dumps({"version": "0.1", "slot": "eu-1"}).encode()
        group = f"pushcast-{name}"
        lines = f'pushcast_assigned_partitions{{group="{group}",topic="t"}} 8\n'
        lines += f'pushcast_heartbeat_age_seconds{{group="{group}"}} 1.2\n'
        lines += f'pushcast_oldest_unfinished_seconds{{group="{group}",topic="t"}} {41 if problems else 0.2}\n'
        _, before = rig.told.get(f"{url}/metrics", (200, b""))
        rig.told[f"{url}/metrics"] = 200, before + lines.encode()


def _control(rig: ConsoleRig) -> None:
    for subject, entry in (
        (
            Subject(Kind.PAUSE, "news", Platform.FCM, Lane.BULK),
            Pause(NOW_MS - 240_000, "key k7Qm2xA9", "wrong title in the digest"),
        ),
        (
            Subject(Kind.BREAKER, "shop", Platform.APNS),
            BreakerRecord("open", "credential_refused", NOW_MS - 130_000, NOW_MS - 120_000),
        ),
        (Subject(Kind.CANARY, "news", Platform.APNS), CanaryWord("ok", NOW_MS - 9_000_000, NOW_MS - 900_000)),
        (
            Subject(Kind.CANARY, "shop", Platform.APNS),
            CanaryWord("failed", NOW_MS - 100_000, NOW_MS - 3_700_000, "credential_refused"),
        ),
        (Name(Kind.HOLD, "weekend-preview"), Halt(NOW_MS - 540_000, None, "key k7Qm2xA9", "")),
    ):
        rig.control.apply(subject.key(), encode_control(entry))


def _keys(rig: ConsoleRig) -> None:
    """A back end's key, an app's, one for a while, one that was disabled."""
    day_ms = 86_400_000
    for key_id, record in (
        (
            "Nr4tQz81",
            ApiKey((Scope.NOTIFICATIONS_SEND, Scope.REPORTS_READ), (_hash(-90),), label="newsroom", apps=("news",)),
        ),
        ("Wq0sLm3d", ApiKey((Scope.DEVICES_WRITE,), (), kind="app", label="shop for iOS", apps=("shop",))),
        ("b7Yc2KfA", ApiKey((Scope.CONSOLE_VIEW,), (_hash(-2, NOW_MS + 5 * day_ms),), label="auditor")),
        ("x1Gh9TeV", ApiKey((Scope.BROADCASTS_SEND,), (_hash(-400),), label="old campaign tool", disabled=True)),
    ):
        rig.keyring.apply(key_id.encode(), encode_record(record))


def _hash(days: int, expires_at: int | None = None) -> Hash:
    """Of a secret that was made so many days after the present."""
    return Hash("0" * 64, NOW_MS + days * 86_400_000, expires_at)


def _person(rig: ConsoleRig) -> None:
    step = {"app": "news", "device": "Pixel-8", "user": USER, "token_hash": "9f31c0de" * 8}
    rig.stories["Pixel-8"] = {
        "steps": [
            step
            | {"at": "2026-09-20T14:13:20.000Z", "step": "registered", "reason": None, "record": "push.device.v1/3/12"},
            step
            | {
                "at": "2026-09-21T14:09:02.000Z",
                "step": "suspended",
                "reason": "device_unregistered",
                "record": "push.token.hold.v1/3/77",
            },
        ],
        "kept_since": {},
        "waits": [],
        "left_out": 0,
        "unreadable": {},
    }
    rig.owned[USER] = [
        device_of("iPhone-1"),
        device_of(
            "Pixel-8", platform="fcm", suspended_at="2026-09-21T14:09:02.000Z", suspended_reason="device_unregistered"
        ),
    ]
    rig.waiting[USER] = [
        {
            "user": USER,
            "notification": "weekly-digest",
            "lane": "bulk",
            "due_at": "2026-09-21T14:30:00.000Z",
            "written_at": "2026-09-21T09:12:00.000Z",
            "closes": None,
            "released_at": None,
            "keep_offset": 12,
        }
    ]
    gone = {"outcome": "invalid", "reason": "device_unregistered", "provider_status": 404}
    rig.reports.history = [
        _delivery(
            GOAL, "iPhone-1", "14:13:00.000", "14:13:00.742", received_at="14:13:01.900", opened_at="14:13:08.210"
        ),
        _delivery("digest-tuesday", "Pixel-8", "14:08:58.000", "14:09:02.000", **gone),
        _delivery("two-factor-77", "iPhone-1", "13:52:10.000", "13:52:10.212", opened_at="13:52:19.400"),
        _delivery("match-4711-kick-off", "iPhone-1", "13:30:00.000", "13:30:00.611", received_at="13:30:02.000"),
        _delivery("match-4711-kick-off", "Pixel-8", "13:30:00.000", "13:30:01.004"),
        _delivery(
            "line-up",
            "Pixel-8",
            "13:19:40.000",
            "13:27:44.000",
            outcome="expired",
            reason="expired",
            provider_status=None,
            attempts=4,
        ),
    ]
    rig.answer = {
        "answer": "iPhone-1 was reached: Apple accepted it 742 ms after the event. Pixel-8 was not tried: it had been "
        "suspended 4 minutes before, because Google answered 404 UNREGISTERED.",
        "evidence": [
            {
                "at": "2026-09-21T14:09:02.000Z",
                "what": "Pixel-8 is suspended: device unregistered",
                "topic": "push.token.hold.v1",
                "partition": 3,
                "offset": 77,
            },
            {
                "at": "2026-09-21T14:13:00.000Z",
                "what": "the event",
                "topic": "push.notification.urgent.v1",
                "partition": 3,
                "offset": 18872,
            },
            {
                "at": "2026-09-21T14:13:00.031Z",
                "what": "planned for 1 device",
                "topic": "push.planned.v1",
                "partition": 3,
                "offset": 18890,
            },
            {
                "at": "2026-09-21T14:13:00.742Z",
                "what": "accepted by apns for iPhone-1",
                "topic": "push.receipt.v1",
                "partition": 3,
                "offset": 44012,
            },
        ],
    }


def _examples(rig: ConsoleRig) -> None:
    """Users whose device was gone when the goal came."""
    gone = {"outcome": "invalid", "reason": "device_unregistered", "provider_status": 404}
    rig.reports.found = [
        {"user": user, **_delivery(GOAL, "Pixel-8", "14:13:00.000", f"14:13:{second:06.3f}", **gone)}
        for user, second in ((USER, 0.91), ("u-88", 1.204), ("u-20117", 1.36), ("u-3301", 2.018), ("u-504", 3.5))
    ]


def _delivery(note_id: str, device: str, created: str, ended: str, **more: Any) -> dict[str, Any]:
    """Of the evening; times are times of that day."""
    at = {name: f"2026-09-21T{more.pop(name)}Z" for name in ("received_at", "opened_at") if name in more}
    found = {
        "notification": note_id,
        "kind": "notification",
        "app": "news",
        "device": device,
        "platform": "fcm" if device == "Pixel-8" else "apns",
        "outcome": "accepted",
        "reason": None,
        "provider_status": 200,
        "attempts": 1,
        "created_at": f"2026-09-21T{created}Z",
        "ended_at": f"2026-09-21T{ended}Z",
        "received_at": None,
        "opened_at": None,
    }
    return found | at | more


def _letters(rig: ConsoleRig) -> None:
    letter = {
        "topic": "push.notification.normal.v1.dlq",
        "partition": 3,
        "offset": 11,
        "reason": "unknown_field",
        "stage": "planner",
        "family": "notification",
        "message": "usr: no such field; did you mean user?",
        "source": {"topic": "push.notification.normal.v1", "partition": 3, "offset": 902},
        "attempts": None,
        "first_seen_at": NOW_MS - 1_500_000,
        "apps": ["news"],
        "redriven_from": None,
        "value_bytes": 212,
        "headers": [
            ["push-reason", "unknown_field"],
            ["push-stage", "planner"],
            ["push-source-topic", "push.notification.normal.v1"],
            ["x-trace-of-the-newsroom", "31 bytes"],
        ],
        "user": USER,
        "event": {"id": "n-77", "usr": "u-9", "title": "Goal!"},
    }
    rig.letters = [
        letter,
        letter | {"offset": 12, "user": "u-3"},
        letter
        | {
            "offset": 13,
            "reason": "payload_too_large",
            "message": "APNs payload of push type alert has 4,310 bytes, at most 4,096",
        },
        {name: value for name, value in letter.items() if name not in ("user", "event")}
        | {
            "offset": 14,
            "reason": "not_json",
            "message": "it ends within a text",
            "value_bytes": 94,
            "bytes": dump(b'{"id":"n-78","title":"Goal!\x00\xff","token":"' + b"ab" * 16 + b'","body":"1:0'),
        },
    ]
