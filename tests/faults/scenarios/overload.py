"""Providers that are slower than what comes: they queue, answer in waves, or have no CPU, and so have the senders.

Overload is slow and never double: no request becomes doubtful, so no copy is allowed. Only a wave whose answers take
longer than the deadline allows as many copies as tries with an unknown outcome were counted.
"""

from __future__ import annotations

from typing import Any

from faults.rig import Rig, roles
from faults.scenarios.providers import tried_unknown

NAME = "overload"
TITLE = "Providers that queue, answer in waves or have no CPU; senders without CPU; answers beyond the deadline"
#: What is allowed at a provider remembers the backlog of the scenario before for some seconds. From that rate to the
#: one below is more than the fall to a twentieth that the limit answers for (docs/decisions/0010).
CALM_SECONDS = 12.0
#: Of the events' rate, per provider: each event is more than one push, so the queue grows all the time.
SERVED_SHARE = 0.15
WAVES_MS = (100.0, 1_000.0, 4_000.0, 8_000.0)
BEYOND_MS = 12_000.0
#: Without CPU for most of the time, and once for long.
STOPPED_SECONDS = 0.9
RUNNING_SECONDS = 0.1
STOPPED_LONG_SECONDS = 5.0
QUEUE_SECONDS = 10.0
WAVE_SECONDS = 3.0
LEAST_CYCLES = 4


def story(rig: Rig) -> None:
    rig.wait(CALM_SECONDS)
    unknown = tried_unknown(rig)
    for strike in (queues, waves, starved_providers, starved_senders):
        strike(rig)
        state(rig, service_rate=0, latency=None)
        rig.wait(WAVE_SECONDS)
    doubtful = tried_unknown(rig) - unknown
    rig.require(not doubtful, f"{doubtful} tries ended without a known outcome although every answer came in time")
    unknown += doubtful
    state(rig, latency=BEYOND_MS)
    rig.wait(WAVE_SECONDS)
    state(rig, latency=None)

    def allowed() -> None:
        rig.allowed_copies += tried_unknown(rig) - unknown
        rig.numbers["tried_again_unanswered"] = rig.allowed_copies

    rig.afterwards(allowed)


def queues(rig: Rig) -> None:
    """So few are served that with as many out as memory allows the last would wait for minutes."""
    state(rig, service_rate=rig.size.rate * SERVED_SHARE)
    rig.wait(QUEUE_SECONDS)


def waves(rig: Rig) -> None:
    """All below the deadline; what the last one holds up is answered before the next strike adds to it."""
    for latency_ms in WAVES_MS:
        state(rig, latency=latency_ms)
        rig.wait(WAVE_SECONDS)
    state(rig, latency=None)
    rig.wait(max(WAVES_MS) / 1000)


def starved_providers(rig: Rig) -> None:
    """They answer when they get CPU."""
    simulators = list(rig.world.simulators.values())
    for stopped in (*[STOPPED_SECONDS] * cycles(rig), STOPPED_LONG_SECONDS):
        for simulator in simulators:
            simulator.freeze()
        try:
            rig.wait(stopped)
        finally:
            for simulator in simulators:
                simulator.thaw()
        rig.wait(RUNNING_SECONDS)


def starved_senders(rig: Rig) -> None:
    """Answers lie in their sockets."""
    state(rig, latency=500.0)
    for _ in range(cycles(rig)):
        for name in roles(rig, "sender"):
            rig.crew.freeze(name)
        try:
            rig.wait(2 * STOPPED_SECONDS)
        finally:
            for name in roles(rig, "sender"):
                rig.crew.thaw(name)
        rig.wait(RUNNING_SECONDS)


def cycles(rig: Rig) -> int:
    return max(LEAST_CYCLES, round(rig.size.fault_seconds))


def state(rig: Rig, **changes: Any) -> None:
    """Of every provider."""
    for simulator in rig.world.simulators.values():
        simulator.control("/state", changes, "PUT")
