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

    `expired`, `cancelled`: messages whose targets all end now. `held`: what has still to wait, the very batch when
    nothing of it may go and nothing has ended.
    """

    again: SendBatch | None
    expired: list[Message]
    cancelled: list[Message]
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


def settle(
    batch: SendBatch,
    now_ms: int,
    held: Callable[[Message], bool] = lambda message: False,
    cancelled: Callable[[Message], list[int]] = lambda message: [],
) -> Settled:
    """Parts what is cancelled, what is past its expiry, what has still to wait, and what is sent again. Order is kept
    within each.

    `held`: whether a message must not be sent now; what has expired ends all the same. `cancelled`: targets of a
    message that must not be sent at all.
    """
    again: list[Message] = []
    waiting: list[Message] = []
    expired: list[Message] = []
    gone: list[Message] = []
    for message in batch.messages:
        left = message
        if ended := cancelled(message):
            gone.append(pick(message, ended))
            left = pick(message, sorted(set(range(len(message.targets))).difference(ended)))
        expires_at = left.targets.expires_at
        late = [index for index, at in enumerate(expires_at) if at <= now_ms]
        if late:
            expired.append(pick(left, late))
            left = pick(left, [index for index, at in enumerate(expires_at) if at > now_ms])
        if left.targets.delivery_id:
            (waiting if held(left) else again).append(left)
    if not expired and not gone and not (again and waiting):
        return Settled(batch if again else None, [], [], batch if waiting else None)
    return Settled(
        replace(batch, messages=again) if again else None,
        expired,
        gone,
        replace(batch, messages=waiting) if waiting else None,
    )


EXPIRED = (Outcome.EXPIRED, Reason.EXPIRED)
CANCELLED = (Outcome.CANCELLED, Reason.CANCELLED)


def end_of(end: tuple[Outcome, Reason], doubtful: bool) -> tuple[Outcome, Reason]:
    """What may have arrived in an earlier round is called neither expired nor cancelled (as in SEND)."""
    return (Outcome.DEAD, Reason.UNKNOWN_OUTCOME) if doubtful else end
