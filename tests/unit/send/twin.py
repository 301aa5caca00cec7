"""A Kafka and providers for SEND's tests: the test gives the acknowledgements, the answers and the time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, cast

from aiokafka import ConsumerRecord

from pushcast.handover.exact import Inexact, Known
from pushcast.http2.leave import MayLeave, always
from pushcast.model.batch import Message, SendBatch, Targets
from pushcast.model.clock import ManualClock
from pushcast.model.ids import delivery_id, token_hash
from pushcast.model.notification import Content, Options
from pushcast.model.words import Lane, Platform
from pushcast.providers.port import Disposition, OnResults, Result
from pushcast.send.abnormal import Limits
from pushcast.send.agent import SendStage
from pushcast.send.budget import Budget
from pushcast.send.decide import Policy
from pushcast.send.figures import Figures
from pushcast.send.isolation import Breakers, Isolation, Undisturbed
from pushcast.send.lease import Lease
from pushcast.send.proof import Unproven
from pushcast.stream.batch import TP, Batch
from pushcast.stream.cancelling import Cancels
from pushcast.stream.ports import Barrier
from pushcast.stream.tracker import Record, Tracker
from pushcast.wire import topics
from pushcast.wire.answers.receipts import decode_receipt, decode_token_invalid
from pushcast.wire.control.control_state import ControlState
from pushcast.wire.sealing.seals import TokenKeys
from pushcast.wire.sending.batches import decode_batch, encode_batch
from pushcast.wire.sending.retries import Ladder
from twins.kafka import OPEN, TwinBarrier

T0 = 1_800_000_000_000
TOPIC = topics.send(Platform.APNS, Lane.URGENT)


def record(
    topic: str, partition: int, offset: int, value: bytes | None, key: bytes | None = None, headers: Any = ()
) -> Record:
    """As aiokafka hands it over."""
    sizes = [-1 if part is None else len(part) for part in (key, value)]
    return ConsumerRecord(topic, partition, offset, T0, 0, key, value, None, sizes[0], sizes[1], tuple(headers))


def message(
    count: int = 1,
    *,
    app: str = "news",
    name: str = "n",
    options: Options | None = None,
    expires_at: int = T0 + 3_600_000,
    first_user: int = 0,
) -> Message:
    """A campaign: one notification, `count` devices of as many users."""
    targets = Targets()
    for number in range(first_user, first_user + count):
        user, device = f"u{number}", f"d{number}"
        address = f"token-{number}".encode()
        row = (
            0,
            user,
            device,
            delivery_id(name, user, app, device),
            0,
            address,
            "",
            token_hash(address),
            T0 - 9,
            7 + number,
        )
        for column, value in zip(targets.columns(), (*row, expires_at, 0), strict=True):
            column.append(value)
    return Message(app, "default", Content("t", "b"), options or Options(), bytes(16), [name], [T0 - 50], [""], targets)


def send_batch(*messages: Message, platform: str = "apns", lane: str = "urgent", run: int = 0) -> SendBatch:
    return SendBatch(lane, platform, list(messages), run)


@dataclass
class TwinOutbox:
    """`acks`: acknowledge at once; otherwise the test calls `acknowledge`."""

    acks: bool = True
    log: list[Record] = field(default_factory=list)
    pending: list[tuple[TwinBarrier, Record]] = field(default_factory=list)

    async def room(self) -> None:
        return

    def barrier(self) -> TwinBarrier:
        return TwinBarrier()

    def put(
        self,
        barrier: Barrier,
        topic: str,
        partition: int,
        value: bytes | None,
        key: bytes | None = None,
        headers: Sequence[tuple[str, bytes | None]] | None = None,
        timestamp_ms: int | None = None,
    ) -> None:
        assert headers is None or isinstance(headers, list), "confluent-kafka takes no other sequence"
        assert isinstance(barrier, TwinBarrier), "of another outbox"
        barrier.puts += 1
        self.pending.append((barrier, record(topic, partition, -1, value, key, headers or ())))
        if self.acks:
            asyncio.get_running_loop().call_soon(self.acknowledge)

    def acknowledge(self, indices: Iterable[int] | None = None) -> None:
        """Acknowledges these pending records, or all."""
        taken = set(range(len(self.pending)) if indices is None else indices)
        now = [entry for number, entry in enumerate(self.pending) if number in taken]
        self.pending = [entry for number, entry in enumerate(self.pending) if number not in taken]
        for barrier, produced in now:
            self.log.append(produced)
            barrier.reports += 1
            barrier.settle()

    def of(self, topic: str) -> list[Record]:
        return [entry for entry in self.log if entry.topic == topic]

    def receipts(self) -> list[dict[str, Any]]:
        return [decode_receipt(entry.value or b"") for entry in self.of(topics.RECEIPT)]

    def outcomes(self) -> dict[str, tuple[str, str | None]]:
        """Outcome and reason by user; fails when a delivery ended twice."""
        receipts = self.receipts()
        assert len({r["delivery_id"] for r in receipts}) == len(receipts), "a delivery ended twice"
        return {r["user"]: (r["outcome"], r["reason"]) for r in receipts}

    def parked(self) -> list[str]:
        """Users whose deliveries were kept aside, in the order of their records."""
        batches = [decode_batch(entry.value or b"") for entry in self.of(topics.PARKED)]
        return [user for batch in batches for part in batch.messages for user in part.targets.user]

    def invalid_tokens(self) -> list[Any]:
        return [decode_token_invalid(entry.value or b"") for entry in self.of(topics.TOKEN_INVALID)]


@dataclass
class Call:
    """One `send` that has not returned."""

    message: Message
    indices: list[int]
    on_results: OnResults
    returned: asyncio.Future[None]
    left: set[int]

    def answer(self, *results: Result, returns: bool = True) -> None:
        """Reports results; returns from `send` with the last one."""
        self.left -= {result.target for result in results}
        self.on_results(list(results))
        if returns and not self.left and not self.returned.done():
            self.returned.set_result(None)


class TwinProvider:
    """Answers what `script` says of a target's user, in order of tries (the last one for ever); without a script it
    waits for the test's `answer`."""

    engine = "twin"
    slow = True  # where nothing comes back
    takes_wordings = True

    def __init__(
        self, app: str = "news", script: dict[str, list[Result]] | None = None, *, accept: bool = False
    ) -> None:
        self.app = app
        self.platform = Platform.APNS
        self.script = script
        self.accept = accept
        self.calls: list[Call] = []
        self.seen: list[str] = []  # users in order of sending
        self.attempts: list[int] = []  # attempts so far, as the provider reads them
        self.cancelled = 0
        self.may_leave: MayLeave = always  # of the last call
        self.before: Callable[[], None] | None = None  # what happens between a hand-over and its request
        self._tries: dict[str, int] = {}

    async def start(self) -> None:
        return

    async def close(self) -> None:
        return

    async def send(
        self, message: Message, indices: Sequence[int], on_results: OnResults, may_leave: MayLeave = always
    ) -> None:
        self.may_leave = may_leave
        if self.before is not None:
            self.before()
        self.seen += [message.targets.user[i] for i in indices]
        self.attempts += [message.targets.attempt[i] for i in indices]
        if self.accept or self.script is not None:
            on_results([self._scripted(message, i) for i in indices])
            return
        returned: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        call = Call(message, list(indices), on_results, returned, set(indices))
        self.calls.append(call)
        try:
            await returned
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    def _scripted(self, message: Message, target: int) -> Result:
        user = message.targets.user[target]
        answers = (self.script or {}).get(user) or [ok(0)]
        number = self._tries.get(user, 0)
        self._tries[user] = number + 1
        answer = answers[min(number, len(answers) - 1)]
        provider_id = None if answer.provider_id is None else f"apns-{target}"
        return answer._replace(target=target, provider_id=provider_id)


def ok(target: int, sent_at: int = T0 + 1, answered_at: int = T0 + 21) -> Result:
    return Result(target, Disposition.ACCEPTED, None, 200, f"apns-{target}", None, None, sent_at, answered_at)


def failed(disposition: Disposition, reason: str | None = None, target: int = 0, **kw: Any) -> Result:
    return Result(target, disposition, reason, **kw)


@dataclass
class Timer:
    due_seconds: float
    callback: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


#: A lease whose clock stands still, so that it never ends.
UNLIMITED = Lease(45.0, now=lambda: 0.0)


class Member:
    """The work of a member of the group whose coordinator has not answered yet."""

    def last_heartbeat_at(self) -> float:
        return 0.0


class Harness:
    """A stage on the twins, with offsets that count up per partition and timers that the test fires."""

    def __init__(
        self,
        *providers: TwinProvider,
        acks: bool = True,
        capacity: int = 10_000,
        attempts: int = 2,
        quiesce_seconds: float = 5.0,
        budget: Budget | None = None,
        max_open_targets: int = 1_000_000,
        ladder: Ladder | None = None,
        exact: Known = Inexact(),  # noqa: B008 - immutable
        control: ControlState | None = None,
        limits: Limits | None = None,
        lease: Lease = UNLIMITED,
        cancels: Cancels | None = None,
        keys: TokenKeys | None = None,
    ) -> None:
        """With `control` apps are isolated; what breakers announce is put and, unlike in Kafka, not heard back."""
        self.outbox = TwinOutbox(acks)
        self.clock = ManualClock(T0)
        self.figures = Figures()
        self.isolation: Isolation = Undisturbed()
        if control is not None:
            breakers = Breakers(
                control=control,
                outbox=self.outbox,
                clock=self.clock,
                figures=self.figures,
                limits=limits,
                random=Random(2),
                name="me",
            )
            self.isolation = Isolation(breakers, self.clock, Platform.APNS, Lane.URGENT)
        self.budget = budget or Budget(capacity)
        self.timers: list[Timer] = []
        self.fatal: list[tuple[str, BaseException]] = []
        self.providers = {provider.app: provider for provider in providers}
        self.keys = keys or TokenKeys({}, None)
        self.stage = self.made(
            policy=Policy(attempts, ladder),
            max_open_targets=max_open_targets,
            quiesce_seconds=quiesce_seconds,
            exact=exact,
            isolation=self.isolation,
            lease=lease,
            cancels=cancels,
            keys=None if keys is None else lambda: self.keys,
        )
        self.trackers: dict[int, Tracker] = {}

    def made(self, **chosen: Any) -> SendStage:
        """A stage on this harness: one attempt, without bounds, unless it is `chosen` otherwise."""
        usual: dict[str, Any] = {
            "platform": Platform.APNS,
            "lane": Lane.URGENT,
            "providers": self.providers,
            "outbox": self.outbox,
            "clock": self.clock,
            "budget": self.budget,
            "policy": Policy(1),
            "max_open_targets": 1_000_000,
            "quiesce_seconds": 5.0,
            "random": Random(1),
            "figures": self.figures,
            "exact": Inexact(),
            "isolation": Undisturbed(),
            "lease": UNLIMITED,
            "proof": Unproven(),
            "fatal": lambda what, error: self.fatal.append((what, error)),
            "call_later": self._call_later,
        }
        stage = SendStage(**{**usual, **chosen})
        stage.work = cast(Any, Member())
        return stage

    def _call_later(self, delay_seconds: float, callback: Callable[[], None]) -> Timer:
        timer = Timer(delay_seconds, callback)
        self.timers.append(timer)
        return timer

    def fire(self) -> int:
        """Lets every timer come due. Returns how many did."""
        due, self.timers = [t for t in self.timers if not t.cancelled], []
        for timer in due:
            self.clock.advance(timer.due_seconds)
            timer.callback()
        return len(due)

    def batch(self, records: Sequence[Record]) -> Batch:
        """A batch under the real tracker."""
        tp = TP(records[0].topic, records[0].partition)
        tracker = self.trackers.setdefault(tp.partition, Tracker(records[0].offset, OPEN))
        return Batch(tp, tracker, tracker.hand_over(records, tracker.arrive(records)), lambda: None)

    def next_batch(self, *values: SendBatch | bytes | None, partition: int = 3) -> Batch:
        """These as the next records of the partition; its first one has offset 100."""
        tracker = self.trackers.get(partition)
        start = 100 if tracker is None else tracker.next_offset
        return self.batch(
            [
                record(TOPIC, partition, start + n, encode_batch(v) if isinstance(v, SendBatch) else v)
                for n, v in enumerate(values)
            ]
        )

    async def feed(self, *values: SendBatch | bytes | None, partition: int = 3) -> Batch:
        """Handles these as the next records of the partition, and lets the loop settle."""
        batch = self.next_batch(*values, partition=partition)
        await self.stage.handle(batch)
        await self.settle()
        return batch

    def committable(self, partition: int = 3) -> int:
        """The offset that Kafka would be told."""
        return self.trackers[partition].low

    async def settle(self, turns: int = 40) -> None:
        """Lets everything that is ready run; nothing here waits for time."""
        for _ in range(turns):
            await asyncio.sleep(0)
        assert not self.fatal, self.fatal
