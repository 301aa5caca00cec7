"""A console with something on every page, as a busy evening has it."""

from __future__ import annotations

import math
from typing import Any, Final

from pushcast.model.words import Lane, Platform
from pushcast.settle.hexdump import dump
from pushcast.wire.actions import OperatorAction, encode
from pushcast.wire.control import BreakerRecord, CanaryWord, Halt, Kind, Name, Pause, Subject, WebhookOrder
from pushcast.wire.control import encode as encode_control
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


def speeds(accepted: int) -> bytes:
    """How fast so many urgent deliveries were accepted, as a reporter counts it."""
    shares = {"0.2": 0.3, "0.35": 0.81, "0.5": 0.93, "1.0": 0.985, "2.0": 0.999, "+Inf": 1}
    lines = (
        f'pushcast_accepted_seconds_bucket{{lane="urgent",le="{bound}"}} {round(accepted * share)}\n'
        for bound, share in shares.items()
    )
    return "".join(lines).encode()


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
        planned=19_100,
        outcomes={"accepted": 18_400, "invalid": 600, "dead": 100},
        platforms={
            "apns": {"planned": 19_100, "outcomes": {"accepted": 18_400, "invalid": 600, "dead": 100}, "reasons": {}}
        },
        latency_histogram=histogram(18_400, 5200),
    )
    for number, words in enumerate(("chat-9f21", "order-456-shipped", "two-factor-77", "digest-tuesday")):
        reports[words] = report_of(words, planned=4 - number, outcomes={"accepted": 4 - number}, platforms={})
    accepted = invalid = 0
    rig.now_ms = NOW_MS - 600_000
    for step in range(120):
        burst = 2600 * math.exp(-((step - 78) ** 2) / 40) if step > 60 else 0.0
        accepted += round(5 * (340 + 120 * math.sin(step / 11) + 25 * (step % 5) + burst))
        invalid += round(5 * (9 + burst / 60))
        rig.told["http://sender/metrics"] = 200, (METRICS % (accepted, invalid, 0.2)).encode() + speeds(accepted // 9)
        if step == 119:
            _webhooks(rig)
        rig.now_ms += 5000
        await rig.watch.look()
    rig.told["http://sender/health/ready"] = 200, b'{"status":"ok","problems":[]}'
    rig.told["http://sender/_info"] = 200, b'{"version":"0.1"}'
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
    _letters(rig)
    for at, did, what, refused in (
        (4, "pause", "news/fcm", ""),
        (9, "switch_broadcast", "hold weekend-preview", ""),
        (12, "pause", "/control/pause", "foreign_form"),
    ):
        rig.actions.apply(
            b"k", encode(OperatorAction(NOW_MS - at * 60_000, "k7Qm2xA9", "anna", did, what, refused, "127.0.0.1"))
        )


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
            "due_at": "2026-09-22T07:00:00.000Z",
            "written_at": "2026-09-21T09:12:00.000Z",
            "closes": None,
            "released_at": None,
            "keep_offset": 12,
        }
    ]
    delivery = {
        "kind": "notification",
        "app": "news",
        "provider_status": 200,
        "attempts": 1,
        "reason": None,
        "created_at": "2026-09-21T14:13:00.000Z",
    }
    rig.reports.history = [
        delivery
        | {
            "notification": GOAL,
            "device": "iPhone-1",
            "platform": "apns",
            "outcome": "accepted",
            "ended_at": "2026-09-21T14:13:00.742Z",
        },
        delivery
        | {
            "notification": "digest-tuesday",
            "device": "Pixel-8",
            "platform": "fcm",
            "outcome": "invalid",
            "reason": "device_unregistered",
            "provider_status": 404,
            "ended_at": "2026-09-21T14:13:04.100Z",
        },
        delivery
        | {
            "notification": "two-factor-77",
            "device": "iPhone-1",
            "platform": "apns",
            "outcome": "accepted",
            "ended_at": "2026-09-21T14:13:00.212Z",
        },
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
