"""What becomes of a device row. Pure: the current row and an event in, the new row or the reason to keep the old one.

Newer wins by the event's `at`, so that a replay, or a record that was moved to its partition, undoes nothing newer.
Of two events with one `at` a removal wins, whichever comes first; of two registrations the later in the log.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pushcast.model.device import AddressKind, DeviceChange, DeviceRow, DeviceState, Operation
from pushcast.model.errors import InvalidInput
from pushcast.model.user import UserRow
from pushcast.model.words import Platform, Reason
from pushcast.register.kept import Kept
from pushcast.register.tokens import PLAIN, Tokens
from pushcast.register.verdicts import invalid_from
from pushcast.wire.devices.devices import MAX_TOPICS
from pushcast.wire.sealing.seals import Place

#: A change of zone so soon after another keeps what was before both.
ZONE_KEPT_MS: Final = 30 * 3_600_000
#: A device that its app tells of all day is one row a day.
SEEN_EVERY_MS: Final = 86_400_000
NOWHERE: Final = Place("", "", "", "", "")
#: What an enumeration's member is in a row: asking the member takes ten times as long.
_WORDS: Final = {member: member.value for kind in (Platform, AddressKind) for member in kind}
_ACTIVE, _STAGED = DeviceState.ACTIVE.value, DeviceState.STAGED.value
#: Columns that no registration says.
_NEVER_SAID: Final = ("first_at", "removed_at", "zone_before", "zone_at")
#: What a refresh keeps when it does not say it.
_REFRESHED: Final = ("locale", "time_zone", "app_version", "purpose", "country", "region")
_SUSPENSION: Final = ("state", "suspended_at", "suspended_reason", "invalid_since")


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
    Columns that no registration says are kept. One that is `staged` makes a new row that waits for its activation, and
    takes nothing back of a row that is active; every other one activates.
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
    platform, kind = _WORDS[change.platform], _WORDS[change.kind]
    # Without a keyring nobody asks what a token is sealed for.
    place = NOWHERE if tokens is PLAIN else Place(change.app, platform, kind, change.user, change.device)
    stored = tokens.stored(address, place, row)
    content_key, content_key_id = None, None
    if change.content_key is not None:
        content_key = tokens.content_key(change.content_key, place, row)
        content_key_id = str(change.content_key.id)
    purpose = None if change.purpose is None else change.purpose.value
    state = _STAGED if change.staged else _ACTIVE
    # In the order of the columns: naming them doubles what the row costs.
    new = DeviceRow(
        change.app, change.device, platform, kind, stored.address, stored.key_id, stored.token_hash, state, at, at,
        change.locale, change.time_zone, change.app_version, change.topics or (), None, None, None, recorded_at, at,
        None, change.country, change.region, change.tags or {}, content_key, content_key_id, None, None,
        stored.hash_before, purpose,
    )  # fmt: skip
    if row is None:
        return new
    kept = _kept(change, at, row, new)
    if row.platform != platform and (moved := kept.get("content_key")) is not None:
        moved = tokens.content_key_moved(moved, place._replace(platform=row.platform), place)
        kept |= {"content_key": moved, "content_key_id": None if moved is None else row.content_key_id}
    kept |= _zones(row, kept.get("time_zone", new.time_zone), recorded_at)
    merged = msgspec.structs.replace(new, **kept)
    return Kept.UNCHANGED if merged == row else merged


def _kept(change: DeviceChange, at: int, row: DeviceRow, new: DeviceRow) -> dict[str, Any]:
    """What of the row there was stands in the row that comes after it."""
    kept: dict[str, Any] = {name: getattr(row, name) for name in _NEVER_SAID}
    kept["seen_at"] = max(at, row.seen_at)
    if change.staged and row.state != _STAGED:
        kept["state"] = _ACTIVE
    if change.topics is None or (row.topics_at is not None and at < row.topics_at):
        kept |= {"topics": row.topics, "topics_at": row.topics_at}
    elif at == row.registered_at and new.topics == row.topics:
        kept["topics_at"] = row.topics_at  # an export of the row, imported again
    if change.tags is None:
        kept["tags"] = row.tags
    if change.op is Operation.REFRESH:
        kept |= {name: getattr(row, name) for name in _REFRESHED if getattr(new, name) is None}
        if change.content_key is None:
            kept |= {"content_key": row.content_key, "content_key_id": row.content_key_id}
    # A registration from before the provider's time says nothing against its verdict; a new token or a later one does.
    same = row.token_hash in (new.token_hash, new.token_hash_before)
    if row.state == DeviceState.SUSPENDED and same and at <= invalid_from(row):
        kept |= {name: getattr(row, name) for name in _SUSPENSION}
    return kept


def seen(at: int, row: DeviceRow | None) -> DeviceRow | Kept:
    """The row of a device that its app was heard from at `at` (milliseconds). Idempotent, and at most one row a day."""
    if row is None or row.is_gone:
        return Kept.UNKNOWN
    return Kept.UNCHANGED if at < row.seen_at + SEEN_EVERY_MS else msgspec.structs.replace(row, seen_at=at)


def activated(row: DeviceRow | None) -> DeviceRow | Kept:
    """The row after an op `activate`, whenever it was. Idempotent."""
    if row is None or row.is_gone:
        return Kept.UNKNOWN
    if row.state != _STAGED:
        return Kept.UNCHANGED
    return msgspec.structs.replace(row, state=_ACTIVE)


def _zones(row: DeviceRow, time_zone: str | None, recorded_at: int | None) -> dict[str, Any]:
    """A device keeps one zone for one broadcast by local time: the one that it had before a change. `recorded_at`:
    Kafka's time of the change. A broadcast takes little more than a day around the world, so a change within 30 hours
    of another keeps what was before both."""
    if recorded_at is None or time_zone == row.time_zone:
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
