"""Faults against running roles, and what a killed sender may at most have sent twice.

The bound is measured, not assumed. Just before the SIGKILL the sender's own page tells how many deliveries it holds:
handed over to a provider, or answered and not yet acknowledged by Kafka (`pushcast_in_flight_deliveries`). Between
that reading and the signal it goes on sending; so the simulators are asked before the reading and after the death,
and whatever they accepted meanwhile, from any sender, is added. Nothing else of it can reach a provider twice.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from pushcast.demo.simulated import Simulated
from pushcast.demo.world import World
from pushcast.model.errors import PushcastError
from pushcast.observe.catalogue import MetricName
from pushcast.runtime import whereabouts
from pushcast.runtime.whereabouts import Whereabouts

PAGE_SECONDS = 5.0
GONE_SECONDS = 10.0
STRIKE_SECONDS = 240.0
POLL_SECONDS = 0.02
#: What a killed process had given to the kernel still reaches the simulators: they are asked until they stand still,
#: or so many times when other senders go on. An answer comes after what lay in their sockets before the question.
ASKED_AGAIN = 3
LANES = ("normal", "bulk")


@dataclass(frozen=True, slots=True)
class Exposure:
    """Deliveries of one sender that could reach a provider twice, when it was killed or stopped."""

    role: str
    in_flight_at_provider: int
    unacknowledged: int  # outcomes that Kafka had not acknowledged
    accepted_since: int  # by the simulators between the reading and the signal, of all senders

    @property
    def bound(self) -> int:
        """At most this many."""
        return self.in_flight_at_provider + self.unacknowledged + self.accepted_since


def figures(entry: Whereabouts, label: str = "") -> dict[str, float]:
    """The process's metrics by name, labelled samples added up: all, or those with this label. Raises OSError."""
    url = f"http://{entry.host}:{entry.port}/metrics"
    with urllib.request.urlopen(url, timeout=PAGE_SECONDS) as answer:
        return added_up(answer.read().decode(), label)


def added_up(exposition: str, label: str = "") -> dict[str, float]:
    """Prometheus text: the sum of each name's samples; with a label (`disposition="unknown"`) of those that have it."""
    found: dict[str, float] = {}
    for line in exposition.splitlines():
        if line and not line.startswith("#") and label in line:
            name = line.partition("{")[0].partition(" ")[0]
            found[name] = found.get(name, 0.0) + float(line.rpartition(" ")[2])
    return found


def held(entry: Whereabouts) -> tuple[int, int]:
    """Deliveries at the provider, and outcomes not acknowledged by Kafka; together what the sender holds."""
    page = figures(entry)
    together = int(page.get(MetricName.IN_FLIGHT, 0))
    unacknowledged = min(together, int(page.get(MetricName.OUTBOX_RECORDS, 0)))
    return together - unacknowledged, unacknowledged


def accepted(simulators: Iterable[Simulated]) -> int:
    """Pushes that the providers have accepted, copies included."""
    return sum(int(simulator.stats()["accepted"]) for simulator in simulators)


def expose(entry: Whereabouts, simulators: Iterable[Simulated], strike: Callable[[], None]) -> Exposure:
    """Reads what the sender holds, strikes at once, and counts what was accepted meanwhile. Raises OSError."""
    chosen = list(simulators)
    before = accepted(chosen)
    at_provider, unacknowledged = held(entry)
    strike()
    return Exposure(entry.name, at_provider, unacknowledged, _after(chosen) - before)


def _after(simulators: list[Simulated]) -> int:
    last = accepted(simulators)
    for _ in range(ASKED_AGAIN):
        now = accepted(simulators)
        if now == last:
            break
        last = now
    return last


def kill(pid: int) -> None:
    """SIGKILL to somebody else's child; blocks until it is gone. Raises PushcastError when it stays."""
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + GONE_SECONDS
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(POLL_SECONDS)
    raise PushcastError(f"process {pid} survives SIGKILL")


class Strikes(threading.Thread):
    """Kills a planner and then a sender while the demo's load runs. The supervisor starts them again."""

    def __init__(self, world: World, notifications: int, seed: int) -> None:
        super().__init__(name="strikes", daemon=True)
        rng = random.Random(f"strikes/{seed}")
        self._world = world
        self._planner, self._sender = (f"{role}-{rng.choice(LANES)}" for role in ("planner", "sender"))
        self._planner_after = round(notifications * rng.uniform(0.02, 0.15))
        self._sender_after = round(notifications * rng.uniform(0.2, 0.6))
        self._error: Exception | None = None
        self._exposure: Exposure | None = None

    def run(self) -> None:
        """Strikes; what goes wrong is raised by `result`."""
        try:
            self._await_accepted(self._planner_after)
            kill(self._find(self._planner).pid)
            self._await_accepted(self._sender_after)
            sender = self._find(self._sender)
            self._exposure = expose(sender, self._world.simulators.values(), lambda: kill(sender.pid))
        except Exception as error:
            self._error = error

    def result(self) -> dict[str, Any]:
        """Waits for the strikes: `duplicates_bound`, and `faults` with the numbers it is made of."""
        self.join(STRIKE_SECONDS)
        if self._error is not None:
            raise self._error
        if self._exposure is None:
            raise PushcastError("the load ended before both roles were killed")
        killed = [{"role": self._planner}, asdict(self._exposure)]
        return {"duplicates_bound": self._exposure.bound, "faults": killed}

    def _await_accepted(self, count: int) -> None:
        deadline = time.monotonic() + STRIKE_SECONDS / 2
        while accepted(self._world.simulators.values()) < count:
            if time.monotonic() > deadline:
                raise PushcastError(f"{count} pushes were not accepted in time to strike")
            time.sleep(POLL_SECONDS)

    def _find(self, name: str) -> Whereabouts:
        for entry in whereabouts.read_all(self._world.settings.data_dir):
            if entry.name == name:
                return entry
        raise PushcastError(f"{name} does not run")
