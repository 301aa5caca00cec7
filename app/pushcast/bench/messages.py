"""Messages as a sender has them after decoding: the load of benchmarks of providers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from pushcast.model.batch import KIND_NUMBERS, Message, Targets
from pushcast.model.device import AddressKind
from pushcast.model.ids import delivery_id, token_hash
from pushcast.model.notification import Content, Options
from pushcast.model.words import Platform

TTL_MS: Final = 3_600_000
APP: Final = "news"

# Of the length and alphabet that the providers give out (FCM: 163 characters, Expo: 22 in brackets).
_ADDRESS: Final[dict[Platform, Callable[[int], str]]] = {
    Platform.APNS: lambda number: f"{number:064x}",
    Platform.FCM: lambda number: f"{number:022x}:APA91b{number:0134x}",
    Platform.EXPO: lambda number: f"ExponentPushToken[{number:022x}]",
}


def address(platform: Platform, number: int, subscriptions: Sequence[str] = ()) -> bytes:
    """The address of device `number`, another for each; webpush takes the subscriptions in turn (JSON texts)."""
    if platform is Platform.WEBPUSH:
        return subscriptions[number % len(subscriptions)].encode()
    return _ADDRESS[platform](number).encode()


def messages(
    platform: Platform,
    targets: int,
    targets_per_message: int,
    *,
    body_chars: int,
    now_ms: int,
    subscriptions: Sequence[str] = (),
    broadcast: bool = False,
) -> Iterator[Message]:
    """Messages for `targets` devices in all, each of a content of its own; the last one may be smaller.

    Each target has a notification of its own, or with `broadcast` all of a message have one.
    """
    for first in range(0, targets, targets_per_message):
        numbers = range(first, min(first + targets_per_message, targets))
        yield _message(platform, numbers, body_chars, now_ms, subscriptions, broadcast)


def _message(
    platform: Platform, numbers: range, body_chars: int, now_ms: int, subscriptions: Sequence[str], broadcast: bool
) -> Message:
    ids = [f"{now_ms:x}-{numbers.start if broadcast else number:012x}" for number in numbers]
    users = [f"user-{number}" for number in numbers]
    devices = [f"device-{number}" for number in numbers]
    addresses = [address(platform, number, subscriptions) for number in numbers]
    kind = AddressKind.SUBSCRIPTION if platform is Platform.WEBPUSH else AddressKind.TOKEN
    count = len(ids)
    notifications = 1 if broadcast else count
    digits = str(numbers.start)
    return Message(
        app=APP,
        klass="digest",
        content=Content("Goal!", digits + "x" * max(0, body_chars - len(digits)), {"match": "4711"}),
        options=Options(),
        content_hash=token_hash(digits.encode()),
        notification_ids=ids[:notifications],
        created_at=[now_ms] * notifications,
        traces=[""] * notifications,
        targets=Targets(
            notification=[0] * count if broadcast else list(range(count)),
            user=users,
            device=devices,
            delivery_id=[delivery_id(*names) for names in zip(ids, users, [APP] * count, devices, strict=True)],
            kind=[KIND_NUMBERS[kind]] * count,
            address=addresses,
            key_id=[""] * count,
            token_hash=[token_hash(value) for value in addresses],
            registered_at=[now_ms] * count,
            source_offset=list(numbers),
            expires_at=[now_ms + TTL_MS] * count,
            attempt=[0] * count,
        ),
    )
