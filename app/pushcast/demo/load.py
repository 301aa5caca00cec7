"""The demo's load: who has which devices, who gets which notifications. Pure, seeded, the same on every machine."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pushcast.demo.notes import Note
from pushcast.demo.timed import groups_of, make_timed, timed_count, travellers

APPS = ("news", "chat")
USERS_PER_DEVICE = 0.4  # 8,000 users own 20,000 devices
PLATFORM_SHARES = {"apns": 0.46, "fcm": 0.44, "webpush": 0.06, "expo": 0.04}
DEAD_SHARE = 0.01
STRANGER_SHARE = 0.01
CHAT_SHARE, URGENT_SHARE = 0.4, 0.1  # the rest goes to an app's many users at once
URGENT_EVENTS = 1_000  # at most: they are a trickle beside the flood, and shall not outlast it by minutes
CAMPAIGN_USERS = 5_000
#: One chat in so many is scheduled, and one in four of these is called off again.
SCHEDULED_EACH, CANCELLED_EACH = 100, 400
SCHEDULED_SECONDS = 5.0
#: What every fifth device follows.
TOPIC = "team/arsenal"
WORDS = ("goal", "rain", "train", "vote", "storm", "match", "draw", "lead", "final", "start")


@dataclass(frozen=True, slots=True)
class DeviceOf:
    """One registration."""

    user: str
    event: dict[str, Any]
    dead: bool


def user_count(devices: int) -> int:
    """Users who own this many devices, one to four each."""
    return max(1, min(devices, round(devices * USERS_PER_DEVICE)))


def make_devices(devices: int, seed: int) -> list[DeviceOf]:
    """Exactly `devices` registrations of `user_count(devices)` users, one to four each, in two apps, ~1 % dead.

    Web Push devices still lack their subscription: only a push service can make one.
    """
    rng = random.Random(f"devices/{seed}")
    users = user_count(devices)
    owners = list(range(users))
    owned = [1] * users
    open_users = [user for user in owners if owned[user] < 4]
    for _ in range(devices - users):
        at = rng.randrange(len(open_users))
        user = open_users[at]
        owners.append(user)
        owned[user] += 1
        if owned[user] == 4:
            open_users[at] = open_users[-1]
            open_users.pop()
    return [_device(number, user, rng) for number, user in enumerate(owners)]


def _device(number: int, user: int, rng: random.Random) -> DeviceOf:
    dead = rng.random() < DEAD_SHARE
    app = rng.choice(APPS)
    platform = rng.choices(tuple(PLATFORM_SHARES), tuple(PLATFORM_SHARES.values()))[0]
    event = {
        "op": "register",
        "app": app,
        "device": f"device-{number}",
        "platform": platform,
        "locale": rng.choice(("en-GB", "de-DE", "fr-FR")),
        "topics": [TOPIC] if number % 5 == 0 else [],
    }
    if platform != "webpush":
        event["token"] = token_of(platform, app, number, dead, rng)
    return DeviceOf(f"user-{user}", event, dead)


def token_of(platform: str, app: str, number: int, dead: bool, rng: random.Random) -> str:
    """A token in the provider's form. The simulators know dead ones by their prefix."""
    if platform == "apns":
        return ("dead0410" if dead else f"{rng.getrandbits(28) + 0x10000000:08x}") + f"{number:056x}"
    if platform == "fcm":
        return ("unreg:" if dead else "live:") + f"APA91b{number:012d}{rng.getrandbits(256):064x}"
    return f"ExponentPushToken[{f'unreg-{number}' if dead else f'{app}-project/{number}'}]"


def make_notes(count: int, devices: list[DeviceOf], seed: int) -> Iterator[Note]:
    """Exactly `count` events: those of the flood, then those of the trickle."""
    yield from make_flood(count, devices, seed)
    yield from make_trickle(count, devices, seed)


def urgent_count(count: int) -> int:
    """How many of so many events are urgent."""
    return min(count - round(count * CHAT_SHARE) - round(count * (1 - CHAT_SHARE - URGENT_SHARE)), URGENT_EVENTS)


def make_flood(count: int, devices: list[DeviceOf], seed: int) -> Iterator[Note]:
    """All but the urgent ones of `count` events: chat-like (own content each, those that wait first), alert-like (one
    content, many users).

    Both go to users of their app, and one chat in a hundred to anybody: some have no device for it.
    """
    rng = random.Random(f"notes/{seed}")
    everybody = sorted({device.user for device in devices})
    owners = {app: _owners(devices, app) for app in APPS}

    def someone(app: str) -> str:
        return rng.choice(everybody if rng.random() < STRANGER_SHARE else owners[app])

    chats = round(count * CHAT_SHARE)
    alerts = count - chats - urgent_count(count)
    groups = groups_of(chats, len(owners["chat"]))
    content = timed_count(groups)
    yield from make_timed(groups, owners["chat"], 1, seed)
    for number in range(chats - content):
        content += 1
        yield Note(
            someone("chat"),
            "normal",
            content,
            {
                "id": f"chat-{seed}-{number}",
                "app": "chat",
                "title": f"Message {number}",
                "body": f"{rng.choice(WORDS)} {rng.choice(WORDS)}? ({content})",
                "options": {"thread_id": f"thread-{rng.randrange(500)}"},
            },
            SCHEDULED_SECONDS if number % SCHEDULED_EACH == 0 else 0.0,
            number % CANCELLED_EACH == 0,
        )
    sent = 0
    while sent < alerts:
        content += 1
        size = min(CAMPAIGN_USERS, len(owners["news"]), alerts - sent)
        title = f"Breaking: {rng.choice(WORDS)}"
        body = f"The {rng.choice(WORDS)} of campaign {content}"
        for user in rng.sample(owners["news"], size):
            event = {
                "id": f"campaign-{seed}-{content}",
                "app": "news",
                "class": "breaking",
                "title": title,
                "body": body,
            }
            yield Note(user, "bulk", content, event)
        sent += size


def make_travellers(count: int, devices: list[DeviceOf], seed: int) -> list[str]:
    """Users of a load of `count` events who have quiet hours, and travel."""
    owners = _owners(devices, "chat")
    return travellers(groups_of(round(count * CHAT_SHARE), len(owners)), owners, seed)


def _owners(devices: list[DeviceOf], app: str) -> list[str]:
    """Users with a device in the app; all, where nobody has one."""
    return sorted({device.user for device in devices if device.event["app"] == app} or {d.user for d in devices})


def make_trickle(count: int, devices: list[DeviceOf], seed: int) -> Iterator[Note]:
    """The urgent ones of `count` events, each to all apps of somebody."""
    rng = random.Random(f"trickle/{seed}")
    everybody = sorted({device.user for device in devices})
    for number in range(urgent_count(count)):
        content = count + number  # above every content of the flood
        event = {"id": f"code-{seed}-{number}", "class": "code", "title": "Your code", "body": f"{content:06d}"}
        yield Note(rng.choice(everybody), "urgent", content, event)


class Expected:
    """How many pushes events make by themselves: a device of the user in the event's app is one."""

    def __init__(self, devices: list[DeviceOf]) -> None:
        self._of_user = Counter(device.user for device in devices)
        self._of_app = Counter((device.user, device.event["app"]) for device in devices)

    def of(self, note: Note) -> int:
        """For one event."""
        if note.cancelled or not note.arrives:
            return 0
        app = note.event.get("app")
        return self._of_user[note.user] if app is None else self._of_app[note.user, app]
