"""Turns what stages and the transport count into samples. Structural types: this layer imports none of them."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

from pushcast.model.words import Lane
from pushcast.observe.catalogue import MetricName as Name
from pushcast.observe.metrics import Sample


class PartitionFigures(Protocol):
    """One assigned partition: `pushcast.stream.stage.PartitionState`."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def lag_records(self) -> int | None: ...
    @property
    def oldest_unfinished_at_ms(self) -> int | None: ...
    @property
    def in_flight_records(self) -> int: ...
    @property
    def in_flight_bytes(self) -> int: ...
    @property
    def in_flight_targets(self) -> int: ...
    @property
    def paused(self) -> bool: ...
    @property
    def waits_for(self) -> str | None: ...


class GroupFigures(Protocol):
    """One App, `transport.host.AppState`. `last_heartbeat_at` is CLOCK_BOOTTIME seconds, 0 before the first."""

    @property
    def name(self) -> str: ...
    @property
    def assigned(self) -> bool: ...
    @property
    def recovered(self) -> bool: ...
    @property
    def partitions(self) -> Iterable[PartitionFigures]: ...
    @property
    def last_heartbeat_at(self) -> float: ...
    @property
    def problems(self) -> Iterable[str]: ...
    @property
    def earlier(self) -> Mapping[str, int]: ...
    @property
    def jumped(self) -> Mapping[str, int]: ...
    @property
    def held_seconds(self) -> Mapping[str, float]: ...


class SendFigures(Protocol):
    """`pushcast.send.figures.Figures`."""

    @property
    def outcomes(self) -> Mapping[Any, int]: ...
    @property
    def tries_again(self) -> Mapping[Any, int]: ...
    @property
    def edge(self) -> Mapping[Any, int]: ...
    @property
    def dropped(self) -> Mapping[Any, int]: ...
    @property
    def void(self) -> Mapping[Any, int]: ...
    @property
    def skipped(self) -> Mapping[Any, int]: ...
    @property
    def expiries_cut(self) -> Mapping[Any, int]: ...
    @property
    def parked(self) -> Mapping[Any, int]: ...
    @property
    def breakers(self) -> Mapping[Any, str]: ...
    @property
    def breakers_opened(self) -> Mapping[Any, int]: ...


class ControlFigures(Protocol):
    """`pushcast.wire.control_state.ControlState`."""

    @property
    def pauses(self) -> Mapping[Any, Any]: ...
    @property
    def ignored(self) -> Mapping[str, int]: ...
    def paused(self, app: str, platform: Any, lane: Any, /) -> bool: ...


class CancelFigures(Protocol):
    """`pushcast.wire.cancel_state.CancelState`."""

    @property
    def count(self) -> int: ...
    @property
    def evicted(self) -> int: ...
    @property
    def ignored(self) -> Mapping[str, int]: ...


class PollFigures(Protocol):
    """`pushcast.poll.figures.PollCounters`."""

    @property
    def receipts(self) -> Mapping[Any, int]: ...
    @property
    def asked(self) -> Mapping[Any, int]: ...
    @property
    def edge(self) -> Mapping[tuple[str, str], int]: ...


class PoolFigures(Protocol):
    """`pushcast.http2.pool_stats.PoolStats`."""

    @property
    def connections(self) -> int: ...
    @property
    def ended(self) -> Mapping[str, int]: ...
    @property
    def in_flight(self) -> int: ...
    @property
    def waiting(self) -> int: ...
    @property
    def limit(self) -> int: ...
    @property
    def limited_by(self) -> str: ...
    @property
    def latency_seconds(self) -> float: ...


def lag_known(group: GroupFigures) -> bool:
    """Whether the broker has told the end of the log of every owned partition."""
    return all(partition.lag_records is not None for partition in group.partitions)


def transport(group: GroupFigures, now_ms: int, boottime_seconds: float) -> Iterator[Sample]:
    """Figures of an App, per topic over its partitions. A lag that is not known yet is not shown."""
    yield Sample(Name.READY, group.assigned and group.recovered and lag_known(group), (group.name,))
    if group.last_heartbeat_at:
        yield Sample(Name.HEARTBEAT_AGE, max(0.0, boottime_seconds - group.last_heartbeat_at), (group.name,))
    yield Sample(Name.TRANSACTION_WAIT, max(group.held_seconds.values(), default=0.0), (group.name,))
    for topic, count in group.earlier.items():
        yield Sample(Name.EARLIER_SCHEMAS, count, (group.name, topic))
    for topic, count in group.jumped.items():
        yield Sample(Name.LOG_JUMPED, count, (group.name, topic))
    for partition in group.partitions:
        labels = (group.name, partition.topic)
        oldest_at = partition.oldest_unfinished_at_ms
        yield Sample(Name.PARTITIONS, 1, labels)
        yield Sample(Name.PARTITIONS_PAUSED, partition.paused, labels)
        yield Sample(Name.UNFINISHED_RECORDS, partition.in_flight_records, labels)
        yield Sample(Name.UNFINISHED_BYTES, partition.in_flight_bytes, labels)
        yield Sample(Name.UNFINISHED_TARGETS, partition.in_flight_targets, labels)
        yield Sample(Name.OLDEST_UNFINISHED, 0.0 if oldest_at is None else max(0, now_ms - oldest_at) / 1000, labels)
        if partition.lag_records is not None:
            yield Sample(Name.LAG, partition.lag_records, labels)


_Labelled = Callable[[str, str, str], tuple[str, ...]]  # role, lane, word -> labels

#: Counters that PLAN and REGISTER keep as {(name, word): count}.
STAGE_COUNTERS: Final[dict[str, tuple[Name, _Labelled]]] = {
    "consumed": (Name.RECORDS_CONSUMED, lambda role, lane, _: (role, lane)),
    "dead_letters": (Name.DEAD_LETTERS, lambda role, lane, reason: (role, lane, reason)),
    "dead_letters_lost": (Name.DEAD_LETTERS_LOST, lambda role, lane, reason: (role, lane, reason)),
    "decoder_errors": (Name.DECODER_ERRORS, lambda role, lane, _: (role, lane)),
    "forwarded": (Name.FORWARDED, lambda role, lane, _: (role, lane)),
    "suppressed": (Name.NOT_PLANNED, lambda _, lane, reason: (lane, reason)),
    "zones_assumed": (Name.ZONES_ASSUMED, lambda _, lane, __: (lane,)),
    "held": (Name.HELD, lambda _, lane, reason: (lane, reason)),
    "opened": (Name.TIMERS_OPENED, lambda _, __, lane: (lane,)),
    "closed": (Name.TIMERS_CLOSED, lambda _, __, reason: (reason,)),
    "badges": (Name.BADGES, lambda _, __, result: (result,)),
    "digests": (Name.DIGESTS, lambda _, __, ___: ()),
    "capped": (Name.CAPS_REACHED, lambda _, __, cap: (cap,)),
    "given_back": (Name.SLOTS_GIVEN_BACK, lambda _, __, ___: ()),
    "removal_pushes": (Name.REMOVAL_PUSHES, lambda _, __, result: (result,)),
    "zones_changed": (Name.TIMERS_REZONED, lambda _, __, ___: ()),
    "void_timers": (Name.TIMERS_VOID, lambda _, __, what: (what,)),
    "batches": (Name.BATCHES, lambda _, lane, platform: (platform, lane)),
    "targets": (Name.TARGETS, lambda _, lane, platform: (platform, lane)),
    "spread": (Name.BROADCASTS, lambda _, __, result: (result,)),
    "legs": (Name.WALK_LEGS, lambda _, lane, __: (lane,)),
    "void_orders": (Name.WALK_VOID, lambda _, lane, __: (lane,)),
    "registrations": (Name.DEVICE_CHANGES, lambda _, __, result: ("register", result)),
    "unregistrations": (Name.DEVICE_CHANGES, lambda _, __, result: ("unregister", result)),
    "users_forgotten": (Name.DEVICE_CHANGES, lambda _, __, result: ("forget_user", result)),
    "topic_changes": (Name.DEVICE_CHANGES, lambda _, __, result: ("topics", result)),
    "preferences": (Name.DEVICE_CHANGES, lambda _, __, result: ("prefer", result)),
    "at_in_future": (Name.CLOCKS_AHEAD, lambda _, __, ___: ()),
    "sweeps": (Name.SWEEPS, lambda _, __, result: (result,)),
    "evictions": (Name.EVICTIONS, lambda _, __, result: (result,)),
    "token_claims": (Name.TOKEN_CLAIMS, lambda _, __, result: (result,)),
    "token_contested": (Name.TOKENS_CONTESTED, lambda _, __, ___: ()),
    "resealed": (Name.RESEALED, lambda _, __, result: (result,)),
    "suspensions": (Name.SUSPENSIONS, lambda _, __, step: (step,)),
    "holds_over": (Name.HOLDS_OVER, lambda _, __, reason: (reason,)),
    "void_rows": (Name.VOID_ROWS, lambda _, __, result: (result,)),
    "claims": (Name.REGISTER_CLAIMS, lambda _, __, ___: ()),
    "removals": (Name.DEVICES_REMOVED, lambda _, __, reason: (reason,)),
    "settled": (Name.RETRIED, lambda _, __, platform: (platform,)),
    "carried": (Name.PARKED_CARRIED, lambda _, __, platform: (platform,)),
    "known": (Name.SETTLED_BEFORE, lambda _, __, platform: (platform,)),
    "void": (Name.SETTLE_VOID, lambda _, __, topic: (topic,)),
    "ended": (Name.RETRIES_ENDED, lambda _, __, reason: (reason,)),
    "kept_tokens": (Name.TOKENS_KEPT, lambda _, __, reason: (reason,)),
    "earlier_rows": (Name.EARLIER_SCHEMAS, lambda _, __, place: place.partition("|")[::2]),
    "unreadable_rows": (Name.ROWS_UNREADABLE, lambda _, __, reason: (reason,)),
}


def stage(role: str, lane: str, counters: Mapping[tuple[str, str], int]) -> Iterator[Sample]:
    """Counters of a stage. `lane` is empty for roles without one. A counter without a metric shows as refused."""
    for (name, word), count in counters.items():
        found = STAGE_COUNTERS.get(name)
        if found is None:
            yield Sample(Name.LABELS_REFUSED, count, ("counter",))
        else:
            yield Sample(found[0], count, found[1](role, lane, word))


def sender(figures: SendFigures) -> Iterator[Sample]:
    """Counters of SEND."""
    for labels, count in figures.outcomes.items():
        yield Sample(Name.OUTCOMES, count, labels)
    for labels, count in figures.tries_again.items():
        yield Sample(Name.TRIES_AGAIN, count, labels)
    for (lane, name, reason), count in figures.edge.items():
        yield from stage("sender", lane, {(name, reason): count})
    for labels, count in figures.dropped.items():
        yield Sample(Name.DROPPED, count, labels)
    for labels, count in figures.void.items():
        yield Sample(Name.SEND_VOID, count, labels)
    for labels, count in figures.skipped.items():
        yield Sample(Name.SKIPPED, count, labels)
    for labels, count in figures.expiries_cut.items():
        yield Sample(Name.EXPIRIES_CUT, count, labels)
    for labels, count in figures.parked.items():
        yield Sample(Name.PARKED, count, labels)
    for labels, state in figures.breakers.items():
        yield Sample(Name.BREAKER_OPEN, state != "closed", labels)
    for labels, count in figures.breakers_opened.items():
        yield Sample(Name.BREAKERS_OPENED, count, labels)


def control(state: ControlFigures) -> Iterator[Sample]:
    """What the control topic says."""
    for app, platform in {(subject.app, subject.platform) for subject in state.pauses}:
        for lane in Lane:
            if state.paused(app, platform, lane):
                yield Sample(Name.PAUSED, 1, (app, platform, lane))
    for reason, count in state.ignored.items():
        yield Sample(Name.CONTROL_IGNORED, count, (reason,))


def cancels(state: CancelFigures) -> Iterator[Sample]:
    """What is called off, as far as this process follows it."""
    yield Sample(Name.CANCELS, state.count)
    yield Sample(Name.CANCELS_FORGOTTEN, state.evicted)
    for reason, count in state.ignored.items():
        yield Sample(Name.CANCELS_IGNORED, count, (reason,))


def takeovers(role: str, lane: str, counters: Mapping[str, int]) -> Iterator[Sample]:
    """What an exact hand-over or a ledger counts. `lane` is empty for roles without one."""
    yield Sample(Name.TAKEOVERS, counters.get("claims", 0) + counters.get("takeovers", 0), (role, lane))
    yield Sample(Name.TAIL_RECORDS, counters.get("tail_records", 0), (role, lane))
    yield Sample(Name.TAIL_VOID, counters.get("tail_void", 0), (role, lane))


def sweeps(figures: Mapping[str, int]) -> Iterator[Sample]:
    """What a registrar's sweeps have found."""
    yield Sample(Name.DEVICES_OVERDUE, figures["overdue"], ())
    yield Sample(Name.SWEEPS_BRAKED, figures["braked"], ())


def poller(figures: PollFigures) -> Iterator[Sample]:
    """Counters of POLL."""
    for labels, count in figures.receipts.items():
        yield Sample(Name.PROVIDER_RECEIPTS, count, labels)
    for labels, count in figures.asked.items():
        yield Sample(Name.RECEIPTS_ASKED, count, labels)
    yield from stage("settler", "", figures.edge)


def pools(app: str, platform: str, stats: Sequence[PoolFigures]) -> Iterator[Sample]:
    """Connections of one app to one provider; Web Push has a pool for each push service."""
    labels = (app, platform)
    yield Sample(Name.PROVIDER_CONNECTIONS, sum(each.connections for each in stats), labels)
    yield Sample(Name.PROVIDER_REQUESTS, sum(each.in_flight for each in stats), labels)
    yield Sample(Name.PROVIDER_REQUESTS_WAITING, sum(each.waiting for each in stats), labels)
    yield Sample(Name.PROVIDER_REQUESTS_LIMIT, sum(each.limit for each in stats), labels)
    yield Sample(Name.PROVIDER_LATENCY, max((each.latency_seconds for each in stats), default=0.0), labels)
    for word, count in Counter(each.limited_by for each in stats).items():
        yield Sample(Name.PROVIDER_LIMITED, count, (*labels, word))
    ended: Counter[str] = Counter()
    for each in stats:
        ended.update(each.ended)
    for reason, count in ended.items():
        yield Sample(Name.PROVIDER_CONNECTIONS_ENDED, count, (*labels, reason))


#: Longer than scrapes are apart: each sees every delay.
LOOP_DELAY_SECONDS: Final = 60.0


class LoopDelay:
    """How late the event loop is. A source: the longest delay of the last minute, in seconds, for all who ask."""

    def __init__(self, loop: asyncio.AbstractEventLoop, interval_seconds: float = 0.25) -> None:
        self._loop = loop
        self._interval_seconds = interval_seconds
        self._longest: deque[tuple[float, float]] = deque()  # (time, delay), each delay above those after it
        self._due_at = loop.time() + interval_seconds
        self._timer = loop.call_at(self._due_at, self._tick)

    def __call__(self) -> list[Sample]:
        self._forget(self._loop.time())
        return [Sample(Name.LOOP_DELAY, self._longest[0][1] if self._longest else 0.0)]

    def close(self) -> None:
        """Stops looking."""
        self._timer.cancel()

    def _tick(self) -> None:
        now = self._loop.time()
        delay = now - self._due_at
        while self._longest and self._longest[-1][1] <= delay:
            self._longest.pop()
        self._longest.append((now, delay))
        self._forget(now)
        self._due_at = now + self._interval_seconds
        self._timer = self._loop.call_at(self._due_at, self._tick)

    def _forget(self, now: float) -> None:
        while self._longest and self._longest[0][0] < now - LOOP_DELAY_SECONDS:
            self._longest.popleft()
