"""What becomes of a device row. Pure: the current row and an event in, the new row or the reason to keep the old one.

Newer wins by the event's `at`, so that a replay, or a record that was moved to its partition, undoes nothing newer.
Of two events with one `at` the later in the log wins.
"""

from __future__ import annotations

from enum import StrEnum

from pushcast.model.device import DeviceChange, DeviceRow, DeviceState, Operation
from pushcast.model.ids import token_hash
from pushcast.wire.receipts import TokenInvalid


class Kept(StrEnum):
    """Why an event changes nothing. The words are metric labels."""

    UNCHANGED = "unchanged"  # the row says already what the event says
    OUTDATED = "outdated"  # the row is newer than the event
    UNKNOWN = "unknown"  # there is no row
    OTHER_TOKEN = "other_token"  # noqa: S105 - a reason; the verdict was about a token that the row no longer has
    REGISTERED_LATER = "registered_later"  # after the provider's time: the verdict was about the token's former life


def upsert(change: DeviceChange, at: int, row: DeviceRow | None) -> DeviceRow | Kept:
    """The row after a `register` or `refresh` at `at` (milliseconds). Idempotent.

    A newer `at` is always written, even when nothing else differs: `registered_at` decides whether a provider's later
    verdict is about this registration, and a time that is an hour old would cost good tokens.
    `topics` None keeps the topics. A refresh keeps whatever it does not say, a register replaces the rest.
    """
    if row is not None and at < row.registered_at:
        return Kept.OUTDATED
    address = change.address
    if address is None or change.platform is None:
        raise ValueError(f"{change.op} without platform or address passed validation")
    locale, time_zone, app_version, topics = change.locale, change.time_zone, change.app_version, change.topics
    seen_at, suspended_at, suspended_reason = at, None, None
    digest = token_hash(address)
    if row is not None:
        if topics is None:
            topics = row.topics
        if change.op is Operation.REFRESH:
            locale = row.locale if locale is None else locale
            time_zone = row.time_zone if time_zone is None else time_zone
            app_version = row.app_version if app_version is None else app_version
        seen_at = max(at, row.seen_at)
        # A registration from before the verdict says nothing against it; a new token or a later one does.
        if row.suspended_at is not None and at <= row.suspended_at and digest == row.token_hash:
            suspended_at, suspended_reason = row.suspended_at, row.suspended_reason
    new = DeviceRow(
        change.app,
        change.device,
        change.platform.value,
        change.kind.value,
        address,
        "",
        digest,
        (DeviceState.ACTIVE if suspended_at is None else DeviceState.SUSPENDED).value,
        at,
        seen_at,
        locale,
        time_zone,
        app_version,
        topics or (),
        suspended_at,
        suspended_reason,
    )
    return Kept.UNCHANGED if new == row else new


def removal(at: int, row: DeviceRow | None) -> Kept | None:
    """None when an `unregister` or `forget_user` at `at` (milliseconds) removes the row."""
    if row is None:
        return Kept.UNKNOWN
    return Kept.OUTDATED if at < row.registered_at else None


def invalidation(event: TokenInvalid, row: DeviceRow | None) -> Kept | None:
    """None when the provider's verdict removes the row.

    It does only when the row still has that token, registered at or before the provider's own time of invalidation;
    for a provider that gives none, at or before the request left. Suspension and hold take this place later.
    """
    if row is None:
        return Kept.UNKNOWN
    if row.token_hash != event.token_hash:
        return Kept.OTHER_TOKEN
    since = event.sent_at if event.invalid_since is None else event.invalid_since
    return Kept.REGISTERED_LATER if row.registered_at > since else None
