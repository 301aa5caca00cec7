"""`python -m pushcast.bench.sender PARENT`: a provider and nothing else, as the process under test of `bench send`.

Reads a line of JSON (Load) from stdin, warms up, prints an empty object, waits for a line, sends, prints a line
(Report). What it measures of itself is the way of a decoded message through rendering, credential, engine, TLS and
verdicts to its results; Kafka, receipts and decoding are not in it (`stage/apns` has them). The loop and the garbage
collector are set as a sender's are.
"""

from __future__ import annotations

import asyncio
import resource
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from itertools import cycle

import msgspec
import uvloop

from pushcast.bench.messages import messages
from pushcast.config.settings import load
from pushcast.model.batch import Message
from pushcast.model.words import Platform
from pushcast.providers.port import Disposition, ManyAtOnce, Part, Provider, Result
from pushcast.providers.registry import build
from pushcast.runtime.child import end_with_parent
from pushcast.runtime.collector import collect_seldom

# Room for this many targets wakes what waits for it: SEND, too, hands over in parts.
LEAST_PART = 500


class Load(msgspec.Struct, frozen=True):
    """What to send. `distinct_targets` are made beforehand and sent again and again until `items` are sent."""

    app: str
    platform: Platform
    items: int
    warm_up_items: int
    targets_per_message: int
    distinct_targets: int
    body_chars: int
    in_flight: int
    subscriptions: tuple[str, ...] = ()
    broadcast: bool = False

    @property
    def total(self) -> int:
        """Pushes in all, the warm-up included."""
        return self.warm_up_items + self.items


class Report(msgspec.Struct, frozen=True):
    """CPU is user and system time of all threads, from the first item to the last result, without the warm-up.

    `rss_bytes` is the peak since the start. Times are of the monotonic clock, which other processes here share.
    """

    seconds: float
    cpu_seconds: float
    rss_bytes: int
    results: dict[str, int]  # by disposition and, behind a colon, reason
    warm_up_results: dict[str, int]
    handed_over_at_seconds: float
    first_result_at_seconds: float


class Run:
    """Sends messages with a bound on the targets that have no result yet."""

    def __init__(self, provider: Provider, in_flight: int) -> None:
        self.first_result_at_seconds = 0.0
        self.handed_over_at_seconds = 0.0
        self._provider = provider
        self._in_flight = in_flight
        self._accepted = 0
        self._others: Counter[tuple[str, str | None]] = Counter()
        self._open = 0
        self._room = asyncio.Event()

    async def send(self, messages_: Iterable[Message]) -> None:
        """Hands over as SEND does: what fits, together. Returns when every target of every message has its result.

        Raises what a provider raises.
        """
        async with asyncio.TaskGroup() as group:
            parts: list[Part] = []
            targets = 0
            for message in messages_:
                count = len(message.targets)
                if targets and (targets + count > LEAST_PART or self._full_for(count)):
                    self._hand_over(group, parts)
                    parts, targets = [], 0
                while self._full_for(count):
                    self._room.clear()
                    await self._room.wait()
                self._open += count
                targets += count
                parts.append(Part(message, range(count), self._on_results))
            self._hand_over(group, parts)
            self.handed_over_at_seconds = time.monotonic()

    def _full_for(self, count: int) -> bool:
        return self._open > 0 and self._open + count > self._in_flight

    def _hand_over(self, group: asyncio.TaskGroup, parts: list[Part]) -> None:
        if isinstance(self._provider, ManyAtOnce):
            group.create_task(self._provider.send_many(parts))
        else:
            for part in parts:
                group.create_task(self._provider.send(*part))

    def _on_results(self, results: list[Result]) -> None:
        if not self.first_result_at_seconds:
            self.first_result_at_seconds = time.monotonic()
        for result in results:
            if result.disposition is Disposition.ACCEPTED:
                self._accepted += 1
            else:
                self._others[str(result.disposition), result.reason] += 1
        self._open -= len(results)
        if self._in_flight - self._open >= min(LEAST_PART, self._in_flight):
            self._room.set()

    def shown(self) -> dict[str, int]:
        """Results by name, for the report."""
        named = {f"{name}:{reason}" if reason else name: count for (name, reason), count in self._others.items()}
        if self._accepted:
            named[str(Disposition.ACCEPTED)] = self._accepted
        return dict(sorted(named.items()))


def portions(parts: Sequence[Message], items: int) -> Iterator[Message]:
    """Messages in turn, from the first again after the last, until they have `items` targets, the last one cut."""
    left = items
    for message in cycle(parts):
        count = len(message.targets)
        if count > left:
            if left:
                yield _cut(message, left)
            return
        yield message
        left -= count


def _cut(message: Message, count: int) -> Message:
    return Message(
        message.app,
        message.klass,
        message.content,
        message.options,
        message.content_hash,
        message.notification_ids,
        message.created_at,
        message.traces,
        message.targets.picked(list(range(count))),
    )


async def measure(load_: Load, provider: Provider, go_on: Callable[[], Awaitable[object]]) -> Report:
    """Warm-up, `go_on`, then the measured items, through a provider that is started and closed here."""
    parts = list(
        messages(
            load_.platform,
            load_.distinct_targets,
            load_.targets_per_message,
            body_chars=load_.body_chars,
            now_ms=int(time.time() * 1000),
            subscriptions=load_.subscriptions,
            broadcast=load_.broadcast,
        )
    )
    await provider.start()
    warm_up = Run(provider, load_.in_flight)
    await warm_up.send(portions(parts, load_.warm_up_items))
    collect_seldom()
    await go_on()
    run = Run(provider, load_.in_flight)
    before, started_at = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    await run.send(portions(parts, load_.items))
    after, ended_at = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    await provider.close()
    return Report(
        seconds=ended_at - started_at,
        cpu_seconds=after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        rss_bytes=after.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        results=run.shown(),
        warm_up_results=warm_up.shown(),
        handed_over_at_seconds=run.handed_over_at_seconds,
        first_result_at_seconds=run.first_result_at_seconds,
    )


async def _told_to() -> None:
    sys.stdout.buffer.write(b"{}\n")
    sys.stdout.buffer.flush()
    await asyncio.to_thread(sys.stdin.readline)


def main() -> None:
    """Raises ConfigurationError for what PUSHCAST_CONFIG lacks."""
    asked = msgspec.json.decode(sys.stdin.readline(), type=Load)
    report = uvloop.run(measure(asked, build(asked.app, asked.platform, load()), _told_to))
    sys.stdout.buffer.write(msgspec.json.encode(report) + b"\n")


if __name__ == "__main__":
    end_with_parent(int(sys.argv[1]))
    main()
