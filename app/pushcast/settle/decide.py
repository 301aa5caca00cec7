"""When a waiting record is due, and what becomes of it then. Pure."""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass, replace

from pushcast.model.batch import Message, SendBatch
from pushcast.model.errors import InvalidInput
from pushcast.model.words import Lane, Outcome, Platform, Reason
from pushcast.wire.batches import check_message, check_size, decode_batch
from pushcast.wire.headers import Headers
from pushcast.wire.retries import DUE_AT, number, pick, round_of

_LAST_MS = 2**53


@dataclass(slots=True)
class Settled:
    """`again`: what is to be sent, None when nothing is left; the very batch when nothing of it has expired.

    `expired`: messages whose targets all end now. `held`: what has still to wait, the very batch when nothing of it may
    go and nothing has expired.
    """

    again: SendBatch | None
    expired: list[Message]
    held: SendBatch | None = None


def wait_seconds(headers: Headers, timestamp_ms: int, now_ms: int, longest_seconds: float) -> float:
    """How long the record has still to wait: nothing when its header is missing or broken, which is found when due.

    `longest_seconds` bounds it, so that a clock that jumped, here or at the sender, holds nobody for longer than the
    longest rung.
    """
    try:
        due_at = number(headers, DUE_AT, _LAST_MS)
    except InvalidInput:
        return 0.0
    if due_at is None:
        return 0.0
    due_at = min(due_at, timestamp_ms + round(longest_seconds * 1000)) if timestamp_ms > 0 else due_at
    return min(max(0.0, (due_at - now_ms) / 1000), longest_seconds)


def read(value: bytes | None, headers: Headers) -> tuple[SendBatch, bool]:
    """The batch, and whether its targets may have been reached already.

    Raises InvalidInput for what cannot be passed on: the reasons of SEND, and a header that is no time.
    """
    if value is None:
        raise InvalidInput(Reason.TOMBSTONE, "the record has no value; retry topics take no tombstones")
    number(headers, DUE_AT, _LAST_MS)
    check_size(value, headers)
    batch = decode_batch(value)
    for field, found, known in (("platform", batch.platform, Platform), ("lane", batch.lane, Lane)):
        if found not in [str(word) for word in known]:
            raise InvalidInput(Reason.INVALID_FIELD, f"{field} is none of {', '.join(known)}", field)
    for message in batch.messages:
        check_message(message)
    return batch, round_of(headers).doubtful


def left_of(batch: SendBatch, there: Set[bytes]) -> SendBatch:
    """The batch without the deliveries that a predecessor has passed on or ended already."""
    if not there:
        return batch
    messages: list[Message] = []
    for message in batch.messages:
        left = [index for index, delivery in enumerate(message.targets.delivery_id) if delivery not in there]
        if len(left) == len(message.targets):
            messages.append(message)
        elif left:
            messages.append(pick(message, left))
    return replace(batch, messages=messages)


def settle(batch: SendBatch, now_ms: int, held: Callable[[Message], bool] = lambda message: False) -> Settled:
    """Parts what is past its expiry, what has still to wait, and what is sent again. Order is kept within each.

    `held`: whether a message must not be sent now; what has expired ends all the same.
    """
    again: list[Message] = []
    waiting: list[Message] = []
    expired: list[Message] = []
    for message in batch.messages:
        expires_at = message.targets.expires_at
        left = message
        late = [index for index, at in enumerate(expires_at) if at <= now_ms]
        if late:
            expired.append(pick(message, late))
            left = pick(message, [index for index, at in enumerate(expires_at) if at > now_ms])
        if left.targets.delivery_id:
            (waiting if held(left) else again).append(left)
    if not expired and not (again and waiting):
        return Settled(batch if again else None, [], batch if waiting else None)
    return Settled(
        replace(batch, messages=again) if again else None,
        expired,
        replace(batch, messages=waiting) if waiting else None,
    )


def end_of(doubtful: bool) -> tuple[Outcome, Reason]:
    """Past its expiry. What may have arrived in an earlier round is not called expired (as in SEND)."""
    return (Outcome.DEAD, Reason.UNKNOWN_OUTCOME) if doubtful else (Outcome.EXPIRED, Reason.EXPIRED)
