"""`bench send`: every engine through its provider against the same sink, and the whole SEND stage on Kafka.

The process under test holds one provider and sends decoded messages through it (`pushcast.bench.sender`); the sinks are
processes of their own. Ratios between engines hold within a run, not across machines.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pushcast.bench import h2load, stage_send
from pushcast.bench.base import Options, Result, Row, machine
from pushcast.bench.messages import APP, address, messages
from pushcast.bench.sender import Load, Report
from pushcast.bench.sender_process import SenderProcess, configuration
from pushcast.bench.sink import GO_STREAMS, Latency, Simulator, go_sink, simulator
from pushcast.config.settings import load
from pushcast.model.errors import ConfigurationError, PushcastError
from pushcast.model.words import Platform
from pushcast.providers import registry
from pushcast.providers.apns.message import Rendered, render
from pushcast.providers.port import Disposition

ITEMS: Final = 200_000
IN_FLIGHT: Final = 10_000  # as a sender process has it by default
TARGETS_PER_MESSAGE: Final = 500  # as PLAN makes them by default
DISTINCT_TARGETS: Final = 50_000
CHAT_DISTINCT_TARGETS: Final = 10_000  # each is a message of its own, about 4 KB
SUBSCRIPTIONS: Final = 1_000
# With title, data and the provider's own fields: APNs payloads of 1 KB, FCM texts (title, body, data) of 400 bytes.
BODY_CHARS: Final = {Platform.APNS: 964, Platform.FCM: 386, Platform.EXPO: 386, Platform.WEBPUSH: 386}
SLOW: Final = Latency(50, 20)
# While the pool grows to what 10,000 requests need, and then longer than they need to leave.
GROWING: Final = Latency(300)
HELD: Final = Latency(5_000)
WARM_UP_ITEMS: Final = 20_000
GROWING_ITEMS: Final = 60_000  # about ten rounds: the pool grows by half in each
SIMULATOR: Final = ""
GO: Final = "/sink/go"
H2LOAD: Final = "h2load"
ACCEPTED: Final = str(Disposition.ACCEPTED)


@dataclass(frozen=True, slots=True)
class Case:
    """A row. `share` of the items asked for: what is slower gets fewer."""

    name: str
    platform: Platform
    engine: str = "multicast"
    share: float = 1.0
    broadcast: bool = False  # one notification for all targets of a message
    chat: bool = False  # a message of its own for every target
    latency: Latency | None = None
    all_in_flight: bool = False  # exactly IN_FLIGHT items, none answered before the last has left

    @property
    def limit(self) -> str:
        """`send.limit`: one that follows answers never reaches so many requests without any."""
        return "fixed" if self.all_in_flight else "adaptive"

    def items(self, asked: int) -> int:
        """How many items this row has when so many are asked for."""
        return IN_FLIGHT if self.all_in_flight else max(1, round(asked * self.share))

    def load(self, items: int, subscriptions: Sequence[str]) -> Load:
        """What the process under test is told."""
        return Load(
            app=APP,
            platform=self.platform,
            items=items,
            warm_up_items=GROWING_ITEMS if self.all_in_flight else max(1, round(WARM_UP_ITEMS * self.share)),
            targets_per_message=1 if self.chat else TARGETS_PER_MESSAGE,
            distinct_targets=CHAT_DISTINCT_TARGETS if self.chat or self.all_in_flight else DISTINCT_TARGETS,
            body_chars=BODY_CHARS[self.platform],
            in_flight=IN_FLIGHT,
            subscriptions=tuple(subscriptions),
            broadcast=self.broadcast,
        )


CASES: Final = (
    Case("apns/multicast", Platform.APNS),
    Case("apns/broadcast", Platform.APNS, broadcast=True),
    Case("apns/aioapns", Platform.APNS, "aioapns", 1 / 40),
    Case("apns/httpx", Platform.APNS, "httpx", 1 / 200),
    Case("apns/multicast/50ms", Platform.APNS, latency=SLOW),
    Case("apns/chat", Platform.APNS, share=1 / 2, chat=True),
    Case("apns/in-flight", Platform.APNS, latency=GROWING, all_in_flight=True),
    Case(H2LOAD, Platform.APNS, H2LOAD),
    Case("fcm/multicast", Platform.FCM),
    Case("fcm/multicast/50ms", Platform.FCM, latency=SLOW),
    Case("fcm/httpx", Platform.FCM, "httpx", 1 / 200),
    Case("webpush/multicast", Platform.WEBPUSH, share=1 / 10),
    Case("expo/httpx", Platform.EXPO, "httpx", 1 / 50),
)


def run(options: Options) -> Result:
    """Rows whose provider or program is missing are left out with a line on stderr; those of the Go sink are there when
    it is given."""
    rows: list[Row] = []
    calibration: dict[str, float] = {}
    for platform in dict.fromkeys(case.platform for case in CASES):
        wanted = [(case, kind) for case, kind in _combinations(platform, options) if options.wants(case.name + kind)]
        if not wanted:
            continue
        with (
            tempfile.TemporaryDirectory(prefix="pushcast-bench-send-") as folder,
            simulator(platform, Path(folder)) as sim,
        ):
            for case, kind in wanted:
                problem = _missing(case, sim)
                if problem is not None:
                    options.say(f"{case.name}: left out, {problem}")
                    continue
                with _sink(sim, case.latency, kind, options) as url:
                    calibration[case.name + kind] = machine()["calibration_us"]
                    row = _measured(case, case.name + kind, sim, url, options.items or ITEMS)
                options.say(f"{row.name}: {row.items / max(row.cpu_seconds, 0.001):,.0f} per CPU second")
                rows.append(row)
    setup: dict[str, Any] = {
        "sink": "pushcast sim, checks off",
        "in_flight": IN_FLIGHT,
        "targets_per_message": TARGETS_PER_MESSAGE,
        "body_chars": {str(platform): chars for platform, chars in BODY_CHARS.items()},
        "apns_payload_bytes": len(_rendered("com.example.news").body),
        "calibration_us_before_row": calibration,
    }
    if any(map(options.wants, stage_send.SHAPES)):
        stage = stage_send.run(options)
        rows += stage.rows
        setup["stage"] = stage.setup
    return Result(rows, setup)


def _combinations(platform: Platform, options: Options) -> Iterator[tuple[Case, str]]:
    for case in CASES:
        if case.platform is platform:
            yield case, SIMULATOR
            if options.sink is not None and platform in GO_STREAMS and not case.all_in_flight:
                yield case, GO


@contextmanager
def _sink(sim: Simulator, latency: Latency | None, kind: str, options: Options) -> Iterator[str]:
    if kind == GO and options.sink is not None:
        with go_sink(options.sink, sim, latency) as url:
            yield url
    else:
        sim.answer_after(latency)
        yield sim.url


def _missing(case: Case, sim: Simulator) -> str | None:
    """Why a row cannot be measured here."""
    if case.engine == H2LOAD:
        return None if h2load.installed() else "h2load is not installed"
    try:
        with configuration(sim, sim.url, case.engine, case.limit):
            registry.build(APP, case.platform, load())
    except ConfigurationError as error:
        return str(error)
    return None


def _measured(case: Case, name: str, sim: Simulator, url: str, asked: int) -> Row:
    items = case.items(asked)
    if case.engine == H2LOAD:
        return _by_h2load(name, sim, url, items)
    before = sim.stats()
    with configuration(sim, url, case.engine, case.limit), SenderProcess(sim.folder / "sender.log") as sender:
        load_ = case.load(items, sim.subscriptions(SUBSCRIPTIONS) if case.platform is Platform.WEBPUSH else ())
        sender.warm_up(load_)
        if case.all_in_flight:
            sim.answer_after(HELD)
            report, all_out_at = sender.watched(lambda: sim.stats()["requests"] - before["requests"] >= load_.total)
            if all_out_at is None or all_out_at >= report.first_result_at_seconds:
                raise PushcastError(f"{name}: not all {items} pushes were out before the first was answered")
        else:
            report = sender.report()
    check(name, load_, report)
    arrived = sim.stats()["accepted"] - before["accepted"]
    if url == sim.url and arrived != load_.total:
        raise PushcastError(f"{name}: {load_.total} pushes became {arrived} at the simulator")
    return Row(name, items, report.seconds, report.cpu_seconds, report.rss_bytes)


def check(name: str, load_: Load, report: Report) -> None:
    """Raises PushcastError unless every push was accepted: other rates would be of something else."""
    wanted = ({ACCEPTED: load_.warm_up_items}, {ACCEPTED: load_.items})
    if (report.warm_up_results, report.results) != wanted:
        raise PushcastError(f"{name}: warm-up ended with {report.warm_up_results}, the rest with {report.results}")


def _by_h2load(name: str, sim: Simulator, url: str, items: int) -> Row:
    program = h2load.installed()
    if program is None:
        raise PushcastError("h2load is not installed")
    rendered = _rendered(str(sim.line["credentials"]["topic"]))
    return h2load.measure(program, name, url, rendered, address(Platform.APNS, 1).decode(), items)


def _rendered(topic: str) -> Rendered:
    chars = BODY_CHARS[Platform.APNS]
    return render(next(messages(Platform.APNS, 1, 1, body_chars=chars, now_ms=0)), topic)
