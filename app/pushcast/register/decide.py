"""What becomes of a device row. Pure: the current row and an event in, the new row or the reason to keep the old one.

Newer wins by the event's `at`, so that a replay, or a record that was moved to its partition, undoes nothing newer.
Of two events with one `at` a removal wins, whichever comes first; of two registrations the later in the log.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

import msgspec

from pushcast.model.device import DeviceChange, DeviceRow, DeviceState, Operation
from pushcast.model.errors import InvalidInput
from pushcast.model.user import UserRow
from pushcast.model.words import Reason
from pushcast.register.tokens import PLAIN, Tokens
from pushcast.wire.devices import MAX_TOPICS
from pushcast.wire.receipts import TokenInvalid
from pushcast.wire.seals import Place

#: A change of zone so soon after another keeps what was before both.
ZONE_KEPT_MS: Final = 30 * 3_600_000


class Kept(StrEnum):
    """Why an event changes nothing. The words are metric labels."""

    UNCHANGED = "unchanged"  # the row says already what the event says
    OUTDATED = "outdated"  # the row is newer than the event
    UNKNOWN = "unknown"  # there is no row
    OTHER_TOKEN = "other_token"  # noqa: S105 - a reason; the verdict was about a token that the row no longer has
    REGISTERED_LATER = "registered_later"  # after the provider's time: the verdict was about the token's former life
    SUSPENDED = "suspended"  # by an earlier verdict, whose hold decides
    DOUBTED = "doubted"  # the provider was not to be believed at that time
    ACTIVE = "active"  # the suspension has ended already: lifted, or registered again


class Ending(StrEnum):
    """How a suspension ends when REGISTER ends it."""

    LIFTED = "lifted"
    REMOVED = "removed"


def upsert(
    change: DeviceChange,
    at: int,
    row: DeviceRow | None,
    tokens: Tokens = PLAIN,
    *,
    recorded_at: int | None = None,
) -> DeviceRow | Kept:
    """The row after a `register` or `refresh` at `at` (milliseconds). Idempotent. `tokens`: how an address is kept.

    `recorded_at`: Kafka's time of the event. It becomes the `first_at` of a new row, and no later event changes that:
    phone clocks and refreshes say nothing about whether a device was there when a broadcast came.

    A newer `at` is always written, even when nothing else differs: `registered_at` decides whether a provider's later
    verdict is about this registration, and a time that is an hour old would cost good tokens.
    `topics` or `tags` None keeps them. A refresh keeps whatever it does not say, a register replaces the rest. Topics
    that were said later than `at` stay. A removed device that is registered after its removal begins a new life.
    Columns that no registration says are kept.
    """
    if row is not None and row.is_gone:
        if at <= row.registered_at:
            return Kept.OUTDATED
        row = None  # a new life
    if row is not None and at < row.registered_at:
        return Kept.OUTDATED
    address = change.address
    if address is None or change.platform is None:
        raise ValueError(f"{change.op} without platform or address passed validation")
    locale, time_zone, app_version = change.locale, change.time_zone, change.app_version
    country, region = change.country, change.region
    topics, tags = change.topics, change.tags
    topics_at: int | None = at
    purpose = None if change.purpose is None else change.purpose.value
    content_key, content_key_id = None, None
    seen_at, suspended_at, suspended_reason, invalid_since = at, None, None, None
    place = Place(change.app, change.platform.value, change.kind.value, change.user, change.device)
    stored = tokens.stored(address, place, row)
    if change.content_key is not None:
        content_key = tokens.content_key(change.content_key, place, row)
        content_key_id = str(change.content_key.id)
    if row is not None:
        if topics is None or (row.topics_at is not None and at < row.topics_at):
            topics, topics_at = row.topics, row.topics_at
        elif at == row.registered_at and tuple(topics) == row.topics:
            topics_at = row.topics_at  # an export of the row, imported again
        if tags is None:
            tags = row.tags
        if change.op is Operation.REFRESH:
            locale = row.locale if locale is None else locale
            time_zone = row.time_zone if time_zone is None else time_zone
            app_version = row.app_version if app_version is None else app_version
            purpose = row.purpose if purpose is None else purpose
            country = row.country if country is None else country
            region = row.region if region is None else region
            if content_key is None:
                content_key, content_key_id = row.content_key, row.content_key_id
        seen_at = max(at, row.seen_at)
        # A registration from before the provider's time says nothing against its verdict; a new token or a later one
        # does.
        same = row.token_hash in (stored.token_hash, stored.hash_before)
        if row.state == DeviceState.SUSPENDED and same and at <= _since(row):
            suspended_at, suspended_reason, invalid_since = row.suspended_at, row.suspended_reason, row.invalid_since
    said: dict[str, Any] = {
        "app": change.app,
        "device": change.device,
        "platform": change.platform.value,
        "kind": change.kind.value,
        "address": stored.address,
        "key_id": stored.key_id,
        "token_hash": stored.token_hash,
        "token_hash_before": stored.hash_before,
        "state": (DeviceState.ACTIVE if suspended_at is None else DeviceState.SUSPENDED).value,
        "registered_at": at,
        "seen_at": seen_at,
        "locale": locale,
        "time_zone": time_zone,
        "app_version": app_version,
        "topics": topics or (),
        "topics_at": topics_at,
        "country": country,
        "region": region,
        "suspended_at": suspended_at,
        "suspended_reason": suspended_reason,
        "invalid_since": invalid_since,
        "tags": tags or {},
        "purpose": purpose,
        "content_key": content_key,
        "content_key_id": content_key_id,
        **_zones(row, time_zone, recorded_at),
    }
    new = DeviceRow(**said, first_at=recorded_at) if row is None else msgspec.structs.replace(row, **said)
    return Kept.UNCHANGED if new == row else new


def _zones(row: DeviceRow | None, time_zone: str | None, recorded_at: int | None) -> dict[str, Any]:
    """A device keeps one zone for one broadcast by local time: the one that it had before a change. `recorded_at`:
    Kafka's time of the change. A broadcast takes little more than a day around the world, so a change within 30 hours
    of another keeps what was before both."""
    if row is None or recorded_at is None or time_zone == row.time_zone:
        return {}
    if row.zone_at is not None and recorded_at - row.zone_at < ZONE_KEPT_MS:
        return {}
    return {"zone_before": row.time_zone, "zone_at": recorded_at}


def following(change: DeviceChange, at: int, row: DeviceRow | None) -> DeviceRow | Kept:
    """The row after an op `topics` at `at` (milliseconds). Idempotent. What was said of topics later stays as it is.

    Raises InvalidInput (invalid_field) when the device would follow too many.
    """
    if row is None or row.is_gone:
        return Kept.UNKNOWN
    if row.topics_at is not None and at < row.topics_at:
        return Kept.OUTDATED
    topics = tuple(dict.fromkeys([*[name for name in row.topics if name not in change.remove], *change.add]))
    if len(topics) > MAX_TOPICS:
        raise InvalidInput(
            Reason.INVALID_FIELD, f"the device would follow {len(topics)} topics; at most {MAX_TOPICS}", "add"
        )
    new = msgspec.structs.replace(row, topics=topics, topics_at=at)
    return Kept.UNCHANGED if new == row else new


def preferred(chosen: UserRow, at: int, row: UserRow | None) -> UserRow | Kept:
    """The user's row after a `prefer` at `at` (milliseconds): it replaces all that was chosen before. Idempotent. When
    the user was forgotten stays known."""
    if row is not None and row.at is not None and at < row.at:
        return Kept.OUTDATED
    new = msgspec.structs.replace(chosen, at=at, forgotten_at=None if row is None else row.forgotten_at)
    return Kept.UNCHANGED if new == row else new


def removal(at: int, row: DeviceRow | None) -> Kept | None:
    """None when an `unregister` or `forget_user` at `at` (milliseconds) removes the row.

    UNKNOWN: there is none, but the removal must be remembered; what it removes may still come.
    """
    if row is None:
        return Kept.UNKNOWN
    if row.is_gone:
        return Kept.UNCHANGED if at <= row.registered_at else Kept.UNKNOWN
    return Kept.OUTDATED if at < row.registered_at else None


def valid_until(event: TokenInvalid) -> int:
    """Registrations after this time (milliseconds) are not what the verdict is about: the provider's own time, or, for
    a provider that gives none, when the request left."""
    return event.sent_at if event.invalid_since is None else event.invalid_since


def suspension(event: TokenInvalid, row: DeviceRow | None, doubted: bool) -> DeviceRow | Kept:
    """The suspended row, or why the verdict changes nothing. Idempotent: its own row again is the same row.

    It suspends only a row that still has that token, registered at or before the provider's time of invalidation.
    `doubted`: the provider is not to be believed about that time.
    """
    if row is None or row.is_gone:
        return Kept.UNKNOWN
    if not _has_token(row, event):
        return Kept.OTHER_TOKEN
    since = valid_until(event)
    if row.registered_at > since:
        return Kept.REGISTERED_LATER
    if _is_suspended_by(event, row):
        return row
    if row.state == DeviceState.SUSPENDED:
        return Kept.SUSPENDED
    if doubted:
        return Kept.DOUBTED
    return msgspec.structs.replace(
        row,
        state=DeviceState.SUSPENDED.value,
        suspended_at=event.at,
        suspended_reason=event.reason,
        invalid_since=since,
    )


def ending(event: TokenInvalid, row: DeviceRow | None, doubted: bool, reached: bool = False) -> Ending | Kept:
    """How the hold of this verdict ends, now: by ending its suspension, or by nothing when that is over.

    `doubted`: the breaker of its (app, platform) opened meanwhile. `reached`: the push service that was given up
    answered meanwhile. What is not suspended by this very verdict is never touched, so a hold that comes twice, or
    late, changes nothing.
    """
    if row is None or row.is_gone:
        return Kept.UNKNOWN
    if not _has_token(row, event):
        return Kept.OTHER_TOKEN
    if row.state != DeviceState.SUSPENDED:
        return Kept.ACTIVE
    if not _is_suspended_by(event, row):
        return Kept.SUSPENDED
    if doubted or reached or row.registered_at > _since(row):
        return Ending.LIFTED
    return Ending.REMOVED


def lifted(row: DeviceRow) -> DeviceRow:
    """The row without its suspension."""
    return msgspec.structs.replace(
        row, state=DeviceState.ACTIVE.value, suspended_at=None, suspended_reason=None, invalid_since=None
    )


def _has_token(row: DeviceRow, event: TokenInvalid) -> bool:
    """By either name: a push that was planned before the token was sealed knows its first."""
    return event.token_hash in (row.token_hash, row.token_hash_before)


def _since(row: DeviceRow) -> int:
    if row.invalid_since is not None:
        return row.invalid_since
    return row.suspended_at or 0  # of a release that did not write it


def _is_suspended_by(event: TokenInvalid, row: DeviceRow) -> bool:
    return (
        row.state == DeviceState.SUSPENDED
        and row.suspended_at == event.at
        and row.suspended_reason == event.reason
        and row.invalid_since == valid_until(event)
    )
