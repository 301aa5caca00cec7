"""The retry ladder: which rung a failed delivery waits on, and the records that wait there.

A retry record is a SendBatch of the targets that failed, with their whole content. What belongs to the round and not
to a target stands in headers, so that SETTLE passes a record on without writing it anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import NamedTuple

from pushcast.model.batch import Message, SendBatch, Targets
from pushcast.model.errors import InvalidInput
from pushcast.model.words import Reason, Source
from pushcast.wire.headers import EPOCH, FENCE, LEDGER, ORIGIN, RUN, Headers, first
from pushcast.wire.sending.batches import encode_batch
from pushcast.wire.topics import RETRY_DELAY_SECONDS, RetryDelay

ATTEMPT = "push-attempt"  # rounds of sending so far, decimal; absent: none
DUE_AT = "push-due-at"  # not before this time, milliseconds since the epoch, decimal
DOUBTFUL = "push-doubtful"  # present: an earlier round may have reached the devices
REFUSED = "push-refused"  # present: it was asked for and refused while its breaker opened or was open
PLATFORM = "push-platform"
LANE = "push-lane"
FIRST_SEEN = "push-first-seen"  # Kafka time of the first send record, milliseconds since the epoch, decimal
#: On a retry record: the send record whose deliveries it carries, `group|send offset`; their ids are in the value.
SENT_FROM = "push-sent-from"
#: On a record that was passed on or redriven: where it lay before, `topic|partition|offset`.
CAME_FROM = "push-came-from"
#: On a parked record (`wire.sending.parked`): whose deliveries it holds, and why they were kept aside.
APP = "push-app"
PARKED_FOR = "push-parked-for"

MAX_COUNT = 1_000_000  # of rounds and runs: headers come from outside
_OWN = frozenset(
    {ATTEMPT, DUE_AT, DOUBTFUL, REFUSED, PLATFORM, LANE, FIRST_SEEN, SENT_FROM, CAME_FROM, APP, PARKED_FOR, RUN}
)
#: Who wrote the record it was: carried on, a later epoch of that writer would make the retry void.
_WRITER = frozenset({ORIGIN, EPOCH, FENCE, LEDGER})


class Rung(NamedTuple):
    """One retry topic and how long its records wait."""

    delay: RetryDelay
    seconds: float


class Round(NamedTuple):
    """What the headers of a send record say about earlier rounds. `rounds`: made so far; `run`: of the header alone.

    `refused`: while its breaker opened or was open, which spent no round.
    """

    rounds: int = 0
    doubtful: bool = False
    run: int = 0
    refused: bool = False


FIRST_ROUND = Round()


@dataclass(frozen=True, slots=True)
class Ladder:
    """`attempts` counts rounds of sending, the first included. Beyond the last rung the last one is used again."""

    rungs: tuple[Rung, ...]
    attempts: int = 5
    jitter: float = 0.1  # share of the delay that is added at most

    def rung_after(self, rounds_made: int, retry_after_seconds: float | None = None) -> Rung | None:
        """Where to wait after that many rounds; None: it was the last.

        The provider's own delay picks a later rung, never an earlier one; longer than the longest rung is cut.
        """
        if rounds_made >= self.attempts:
            return None
        rungs = self.rungs[max(0, min(rounds_made, len(self.rungs)) - 1) :]
        if retry_after_seconds is not None:
            return next((rung for rung in rungs if rung.seconds >= retry_after_seconds), rungs[-1])
        return rungs[0]

    def due_at(self, rung: Rung, now_ms: int, random: Random) -> int:
        """Milliseconds since the epoch; never before the rung's delay has passed."""
        return now_ms + round(rung.seconds * 1000 * (1 + self.jitter * random.random()))

    @property
    def longest_seconds(self) -> float:
        """Upper bound of what `due_at` adds."""
        return max(rung.seconds for rung in self.rungs) * (1 + self.jitter)


def rungs_of(seconds: Sequence[float]) -> tuple[Rung, ...]:
    """The rungs with delays other than their names say (a demo, a test). Raises ValueError for a wrong number."""
    return tuple(Rung(delay, own) for delay, own in zip(RETRY_DELAY_SECONDS, seconds, strict=True))


DEFAULT_RUNGS = rungs_of([float(seconds) for seconds in RETRY_DELAY_SECONDS.values()])


def round_of(headers: Headers | None) -> Round:
    """Raises InvalidInput (invalid_field) for a count that is none."""
    if not headers:
        return FIRST_ROUND
    rounds, run = number(headers, ATTEMPT, MAX_COUNT), number(headers, RUN, MAX_COUNT)
    return Round(rounds or 0, first(headers, DOUBTFUL) is not None, run or 0, first(headers, REFUSED) is not None)


def number(headers: Headers, name: str, limit: int) -> int | None:
    """Decimal value of a header, None when it is absent. Raises InvalidInput (invalid_field)."""
    return decimal(first(headers, name), name, limit)


def decimal(value: bytes | None, name: str, limit: int) -> int | None:
    """The same of a header's value; None: it is absent."""
    if value is None:
        return None
    if not value.isdigit() or len(value) > 19 or int(value) > limit:
        raise InvalidInput(Reason.INVALID_FIELD, f"{name} is no number from 0 to {limit}", name)
    return int(value)


def foreign(headers: Headers | None) -> list[tuple[str, bytes | None]]:
    """Headers that travel with the deliveries: neither written here nor about the writer of the record."""
    return [header for header in headers or () if header[0] not in _OWN and header[0] not in _WRITER]


def pick(message: Message, indices: Sequence[int]) -> Message:
    """The message with these targets only, and only their notifications."""
    targets = message.targets.picked(list(indices))
    asked = list(dict.fromkeys(targets.notification))
    place = {old: new for new, old in enumerate(asked)}
    return replace(
        message,
        notification_ids=[message.notification_ids[old] for old in asked],
        created_at=[message.created_at[old] for old in asked],
        traces=[message.traces[old] for old in asked],
        targets=renumbered(targets, place),
        notes=message.notes.picked(asked),
    )


def picked(message: Message, indices: Sequence[int]) -> list[Message]:
    """`pick` as records have it: a message for each content."""
    if message.wordings is None:
        return [pick(message, indices)]
    return [_single(message, index) for index in indices]


def _single(message: Message, index: int) -> Message:
    """One target of a message with `wordings`, as it was read."""
    wording = (message.wordings or [])[message.targets.notification[index]]
    found = pick(message, (index,))
    found.content, found.options, found.content_hash = wording
    found.wordings = None
    if found.targets.app_version == [None]:
        found.targets.app_version = None
    return found


def renumbered(targets: Targets, place: dict[int, int]) -> Targets:
    """The same targets with other indices of notifications."""
    return replace(targets, notification=[place[old] for old in targets.notification])


def retry_record(
    *,
    lane: str,
    platform: str,
    messages: list[Message],
    run: int,
    first_seen_at: int,
    rounds_made: int,
    due_at: int,
    doubtful: bool,
    sent_from: str,
    source: int = Source.NOTIFICATION,
    carried: Iterable[tuple[str, bytes | None]] = (),
) -> tuple[bytes, list[tuple[str, bytes | None]]]:
    """Value and headers. `carried`: foreign headers of the send record; `sent_from`: `group|send offset`."""
    value = encode_batch(SendBatch(lane, platform, messages, run, first_seen_at, source))
    headers = [
        *carried,
        (PLATFORM, platform.encode()),
        (LANE, lane.encode()),
        (ATTEMPT, str(rounds_made).encode()),
        (DUE_AT, str(due_at).encode()),
        (FIRST_SEEN, str(first_seen_at).encode()),
        (SENT_FROM, sent_from.encode()),
    ]
    if doubtful:
        headers.append((DOUBTFUL, b"1"))
    if run:
        headers.append((RUN, str(run).encode()))
    return value, headers
