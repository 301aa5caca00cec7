"""What a provider's verdict makes of a device row. Pure: row and verdict in, the new row or the reason to keep the old
one."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from pushcast.model.device import DeviceRow, DeviceState
from pushcast.register.kept import Kept
from pushcast.wire.answers.receipts import TokenInvalid


class Ending(StrEnum):
    """How a suspension ends when REGISTER ends it."""

    LIFTED = "lifted"
    REMOVED = "removed"


def valid_until(event: TokenInvalid) -> int:
    """Registrations after this time (milliseconds) are not what the verdict is about: the provider's own time, or, for
    a provider that gives none, when the request left."""
    return event.sent_at if event.invalid_since is None else event.invalid_since


def suspension(event: TokenInvalid, row: DeviceRow | None, doubted: bool) -> DeviceRow | Kept:
    """The suspended row, or why the verdict changes nothing. Idempotent: its own row again is the same row.

    It suspends only a row that still has that token, registered at or before the provider's time of invalidation.
    `doubted`: the provider is not to be believed about that time. A staged row stays staged: the verdict is about a
    push of the device's life before, and of a dead token the first push after its activation tells again.
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
    if row.state == DeviceState.STAGED:
        return Kept.STAGED
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
    if doubted or reached or row.registered_at > invalid_from(row):
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


def invalid_from(row: DeviceRow) -> int:
    """From when the verdict holds that suspended the row: a registration after that time lifts it."""
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
