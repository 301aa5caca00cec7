"""Devices: the change events that apps write and the rows that planners join with."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from pushcast.model.words import Platform

MAX_TOKEN_CHARS = 4096


class Operation(StrEnum):
    """What a DeviceChange asks for."""

    REGISTER = "register"
    REFRESH = "refresh"
    UNREGISTER = "unregister"
    FORGET_USER = "forget_user"


class DeviceState(StrEnum):
    """Only active devices are planned; a suspended one waits for its removal or its rehabilitation."""

    ACTIVE = "active"
    SUSPENDED = "suspended"


class AddressKind(StrEnum):
    """What the address bytes are."""

    TOKEN = "token"  # noqa: S105 - a kind, not a secret
    FID = "fid"  # Firebase Installation ID
    SUBSCRIPTION = "subscription"  # Web Push: JSON {endpoint, p256dh, auth}


class DeviceChange(msgspec.Struct, frozen=True):
    """A valid change. `address` is canonical (APNs tokens in lower case); None for operations that need none."""

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


class DeviceRow(msgspec.Struct, frozen=True):
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
