"""When a waiting record is due, and what becomes of it then. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

import msgspec

from pushcast.model.batch import Message, SendBatch
from pushcast.model.errors import InvalidInput
from pushcast.model.gates import Ends, Verdict, in_quiet_hours
from pushcast.model.quiet import QuietTerms
from pushcast.model.words import Lane, Outcome, Platform, Reason
from pushcast.wire.headers import Headers
from pushcast.wire.sending.batches import check_message, check_size, decode_batch
from pushcast.wire.sending.retries import DUE_AT, number, pick, round_of

End = tuple[Outcome, Reason]
_LAST_MS = 2**53


@dataclass(slots=True)
class Settled:
    """`again`: what is to be sent, None when nothing is left; the very batch when nothing of it has expired.

    `expired`, `cancelled`: messages whose targets all end now; `ended`: others, each with its end. `held`: what has
    still to wait, the very batch when nothing of it may go and nothing has ended. `quiet`: what waits for the end of
    quiet hours, the first of it until `quiet_until_ms`.
    """

    again: SendBatch | None
    expired: list[Message]
    cancelled: list[Message]
    held: SendBatch | None = None
    ended: list[tuple[End, Message]] = field(default_factory=list)
    quiet: SendBatch | None = None
    quiet_until_ms: int = 0


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
    for name, found, known in (("platform", batch.platform, Platform), ("lane", batch.lane, Lane)):
        if found not in [str(word) for word in known]:
            raise InvalidInput(Reason.INVALID_FIELD, f"{name} is none of {', '.join(known)}", name)
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
    quiet_spread_ms: int = 0,
    gone: Callable[[Message], Mapping[int, End]] = lambda message: {},
    quiet_terms: Callable[[Message], Sequence[QuietTerms | None] | None] = lambda message: None,
) -> Settled:
    """Parts what is cancelled, what is past its expiry, what has still to wait, and what is sent again: the gates of
    `model.gates` in their order. What is held is asked by the others when it is no more. Order is kept within each.

    `held`: whether a message must not be sent now; what has expired ends all the same. `cancelled`: targets of a
    message that must not be sent at all; `gone`: others, each with its end. `quiet_spread_ms`: see
    `quiet.spread_after`. `quiet_terms`: the quiet hours of each target as they are now; None: as they were planned.
    """
    again: list[Message] = []
    waiting: list[Message] = []
    expired: list[Message] = []
    stopped: list[Message] = []
    ended_else: list[tuple[End, Message]] = []
    calm = _Calm(now_ms, quiet_spread_ms)
    for message in batch.messages:
        left = message
        if ended := cancelled(message):
            stopped.append(pick(message, ended))
            left = _without(message, ended)
        expires_at = left.targets.expires_at
        late = [index for index, at in enumerate(expires_at) if at <= now_ms]
        if late:
            expired.append(pick(left, late))
            left = pick(left, [index for index, at in enumerate(expires_at) if at > now_ms])
        if left.targets.delivery_id and held(left):
            waiting.append(left)  # what does not leave is not asked for yet: a pass may go over a million of them
            continue
        if left.targets.delivery_id and (others := gone(left)):
            ended_else += [(end, pick(left, [index])) for index, end in others.items()]
            left = _without(left, others)
        if left.targets.delivery_id:
            left = calm.passing(left, quiet_terms(left))
        if left.targets.delivery_id:
            again.append(left)
    if not expired and not stopped and not ended_else and not calm.changed and not (again and waiting):
        return Settled(batch if again else None, [], [], batch if waiting else None)
    return Settled(
        replace(batch, messages=again) if again else None,
        expired,
        stopped,
        replace(batch, messages=waiting) if waiting else None,
        [*ended_else, *calm.ended],
        replace(batch, messages=calm.waiting) if calm.waiting else None,
        calm.until_ms,
    )


def _without(message: Message, indices: Iterable[int]) -> Message:
    return pick(message, sorted(set(range(len(message.targets))).difference(indices)))


class _Calm:
    """The gate of quiet hours: what it stops of one batch."""

    def __init__(self, now_ms: int, spread_ms: int) -> None:
        self._now_ms = now_ms
        self._spread_ms = spread_ms
        self.waiting: list[Message] = []
        self.ended: list[tuple[End, Message]] = []
        self.until_ms = 0
        self.changed = False  # something of the batch is not as it came

    def passing(self, message: Message, terms: Sequence[QuietTerms | None] | None) -> Message:
        """What of a message may be sent now. `terms`: of each target as they are now, which its sender does not know;
        None: the message's own."""
        if terms is not None and message.quiet is not None and message.quiet.first_try:
            message = replace(message, quiet=msgspec.structs.replace(message.quiet, first_try=False))
            self.changed = True
        elif terms is None and message.quiet is None:
            return message
        targets = message.targets
        by_verdict: dict[Verdict, list[int]] = {}
        each_terms = terms or [message.quiet] * len(targets)
        for index, (user, expires_at, its) in enumerate(zip(targets.user, targets.expires_at, each_terms, strict=True)):
            until = None if its is None else its.until(user, self._spread_ms, self._now_ms)
            verdict = None if its is None or until is None else in_quiet_hours(its.policy, until, expires_at)
            by_verdict.setdefault(verdict, []).append(index)
        passing = by_verdict.pop(None, [])
        if not by_verdict:
            return message
        self.changed = True
        for verdict, indices in by_verdict.items():
            stopped = pick(message, indices)
            if isinstance(verdict, Ends):
                self.ended.append((verdict, stopped))
            elif verdict is not None and verdict.until_ms is not None:
                self.waiting.append(stopped)
                self.until_ms = min(self.until_ms or verdict.until_ms, verdict.until_ms)
        return pick(message, passing)


EXPIRED = (Outcome.EXPIRED, Reason.EXPIRED)
CANCELLED = (Outcome.CANCELLED, Reason.CANCELLED)


def end_of(end: End, doubtful: bool) -> End:
    """What may have arrived in an earlier round is called neither expired nor cancelled (as in SEND)."""
    return (Outcome.DEAD, Reason.UNKNOWN_OUTCOME) if doubtful else end
