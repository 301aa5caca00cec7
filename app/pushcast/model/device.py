"""Devices: the change events that apps write and the rows that planners join with."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

import msgspec

from pushcast.model.sealing import ContentKey
from pushcast.model.user import UserRow
from pushcast.model.words import Platform

MAX_TOKEN_CHARS = 4096
#: As expo-server-sdk's isExpoPushToken, and nothing that needs an escape in JSON. Registrars and senders ask this one.
EXPO_TOKEN: Final = re.compile(
    rb"Expo(?:nent)?PushToken\[[!#-Z^-~]+\]|[0-9A-Za-z]{8}(?:-[0-9A-Za-z]{4}){3}-[0-9A-Za-z]{12}"
)


class Operation(StrEnum):
    """What a DeviceChange asks for."""

    REGISTER = "register"
    REFRESH = "refresh"
    UNREGISTER = "unregister"
    FORGET_USER = "forget_user"
    TOPICS = "topics"
    PREFER = "prefer"
    ACTIVATE = "activate"


#: What writes a row with a token.
REGISTRATIONS: Final = frozenset((Operation.REGISTER, Operation.REFRESH))


class DeviceState(StrEnum):
    """Only active devices are planned; a suspended one waits for its removal or its rehabilitation, a staged one for
    its activation, a gone one has no address and is there against late events alone."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    STAGED = "staged"
    GONE = "gone"


class AddressKind(StrEnum):
    """What the address bytes are."""

    TOKEN = "token"  # noqa: S105 - a kind, not a secret
    FID = "fid"  # Firebase Installation ID
    SUBSCRIPTION = "subscription"  # Web Push: JSON {endpoint, p256dh, auth}
    # Not a device's: FCM itself knows who follows, and sends to them.
    TOPIC = "topic"
    CONDITION = "condition"
    # Nor a device's: APNs' channel of a Live Activity, which stores nothing, or its newest update for who is away.
    CHANNEL = "channel"
    STORING_CHANNEL = "storing_channel"


class Purpose(StrEnum):
    """Which push types a token takes. The words are Apple's push types; `background` goes where `alert` goes.

    A PushKit token takes `voip` and nothing else; Apple refuses every other pair, and such an answer would cost a good
    token.
    """

    ALERT = "alert"
    VOIP = "voip"
    COMPLICATION = "complication"
    FILEPROVIDER = "fileprovider"
    LOCATION = "location"
    PUSHTOTALK = "pushtotalk"
    LIVEACTIVITY = "liveactivity"
    WIDGETS = "widgets"
    CONTROLS = "controls"


def takes(purpose: str | None, push_type: str) -> bool:
    """Whether a token that was registered for `purpose` takes pushes of this type. None: for every type."""
    return purpose is None or purpose == push_type or (purpose == Purpose.ALERT and push_type == "background")


# Neither can refer to itself. A hundred thousand may be in flight, and the garbage collector looks at none of them.
class DeviceChange(msgspec.Struct, frozen=True, gc=False):
    """A valid change. `address` is canonical (`wire.devices.addresses`); None for operations that need none.

    `app` is empty where it is for all apps: of `forget_user`, and of a `prefer` that names none.
    """

    op: Operation
    user: str
    app: str
    device: str
    platform: Platform | None
    kind: AddressKind
    address: bytes | None
    at: int
    locale: str | None = None
    time_zone: str | None = None
    app_version: str | None = None
    topics: tuple[str, ...] | None = None
    purpose: Purpose | None = None
    tags: dict[str, str] | None = None
    country: str | None = None
    region: str | None = None
    add: tuple[str, ...] = ()  # topics to follow from now on; of op `topics`
    remove: tuple[str, ...] = ()  # topics to follow no longer
    preferences: UserRow | None = None  # of op `prefer`
    content_key: ContentKey | None = None
    staged: bool = False  # a device that is new is not planned before it is activated, or registered by its app


class DeviceRow(msgspec.Struct, frozen=True, gc=False):
    """One device of one user in one app, as `push.device.v1` holds it. Times are milliseconds since the epoch."""

    app: str
    device: str
    platform: str
    kind: str
    address: bytes
    key_id: str  # key that seals the address; empty: not sealed
    token_hash: bytes
    state: str
    registered_at: int  # when this token was last registered or refreshed: decides whether a 410 is older
    seen_at: int
    locale: str | None = None
    time_zone: str | None = None
    app_version: str | None = None
    topics: tuple[str, ...] = ()
    suspended_at: int | None = None  # when the provider's answer came that suspended it
    suspended_reason: str | None = None
    invalid_since: int | None = None  # from when that verdict holds: a registration after it lifts the suspension
    first_at: int | None = None  # Kafka time of the event that created the row
    topics_at: int | None = None  # when topics were last said, by the event's `at`
    removed_at: int | None = None
    country: str | None = None
    region: str | None = None
    tags: dict[str, str] = {}
    content_key: bytes | None = None  # `wire.devices.content_keys`
    content_key_id: str | None = None
    zone_before: str | None = None
    zone_at: int | None = None
    token_hash_before: bytes | None = None
    purpose: str | None = None  # of Purpose; None: takes every push type

    @property
    def is_gone(self) -> bool:
        """Whether the device was removed: the row is there against late events alone."""
        return self.state == DeviceState.GONE
