"""Names of the benchmarks, and where each is. A module is imported when its benchmark is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

from pushcast.bench.base import Options, Result


class Entry(NamedTuple):
    """`module` has a function `run(options: Options) -> Result`. `takes`: options that few benchmarks understand."""

    module: str
    summary: str
    takes: frozenset[str] = frozenset()


_DEVICES = frozenset({"devices"})
_SINK = frozenset({"sink"})
#: What a benchmark takes only when its entry says so.
RARE = _DEVICES | _SINK

BENCHES = {
    "devices": Entry("pushcast.bench.devices", "Registrations through the registrar, rows acknowledged."),
    "plan": Entry("pushcast.bench.plan", "Notifications through a planner, outputs acknowledged and committed."),
    "configured": Entry("pushcast.bench.configured", "Planning with more configured than it uses, and without."),
    "walk": Entry("pushcast.bench.walk", "Rows that a broadcast tests, and deliveries that it plans, without Kafka."),
    "broadcast": Entry("pushcast.bench.broadcast", "One broadcast through the whole chain, event to last receipt."),
    "keep": Entry("pushcast.bench.keep", "Timers taken and let go by a keeper, its take-over, and capped events."),
    "recovery": Entry("pushcast.bench.recovery", "The devices table rebuilt from its topic."),
    "latency": Entry("pushcast.bench.latency", "One urgent event on an idle system, produced to send batch readable."),
    "sim": Entry("pushcast.bench.sim", "What a simulator answers, with its checks and without."),
    "lanes": Entry("pushcast.bench.lanes", "Urgent events while a bulk backlog drains on the same cores."),
    "isolation": Entry("pushcast.bench.isolation", "One app while another app's provider is dead."),
    "exactness": Entry("pushcast.bench.exactness", "PLAN and SEND with hand-over and ledger, and without."),
    "pipeline": Entry("pushcast.bench.pipeline", "The whole chain, events to receipts; CPU of each process.", _DEVICES),
    "idle": Entry("pushcast.bench.idle", "Memory and CPU of all roles while nothing happens."),
    "start": Entry("pushcast.bench.start", "Until every role is ready, with 8 and with 64 partitions.", _DEVICES),
    "gateway": Entry("pushcast.bench.gateway", "POSTs through the HTTP gateway, each answered when Kafka has it."),
    "report": Entry("pushcast.bench.report", "Receipts and planned records into an empty report store."),
    "tracing": Entry("pushcast.bench.tracing", "The SEND stage with tracing and nothing sampled, and without tracing."),
    "send": Entry("pushcast.bench.send", "Every engine against the same sink, and the whole SEND stage.", _SINK),
}


def run(name: str, options: Options) -> Result:
    """Runs a benchmark by name; blocks for its whole time. Raises KeyError for an unknown one."""
    result: Result = import_module(BENCHES[name].module).run(options)
    return result
