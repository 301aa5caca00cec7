"""What providers do to their clients, one after the other and under load: connections told to go away, streams reset,
errors with and without a body, silence, slowness, credentials revoked, and every token called dead.

What a provider leaves unanswered may have arrived; the senders try it again and count that apart (`unknown`), and so
many copies are allowed here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from faults.devices import read_rows
from faults.rig import Rig, roles
from pushcast.demo.simulated import Simulated
from pushcast.demo.strikes import figures
from pushcast.observe.catalogue import MetricName

NAME = "providers"
TITLE = "GOAWAY, resets, 503, silence, latency, revoked credentials, every token invalid"
BETWEEN_SECONDS = 0.2
MENDED_SECONDS = 60.0
SHORT_FAULTS = 3
#: Settings of the world: suspensions end within a run.
OVERRIDES: dict[str, dict[str, Any]] = {"devices": {"hold_seconds": 30}}
INVALID = {
    "apns": "reason:Unregistered",
    "fcm": "reason:UNREGISTERED",
    "webpush": "status:410",
    "expo": "reason:DeviceNotRegistered",
}

Rule = dict[str, Any]


def story(rig: Rig) -> None:
    unknown = tried_unknown(rig)
    good = {(each.user, each.event["device"]) for each in rig.devices if not each.dead} - rig.unregistered
    faults: dict[str, Callable[[Rig], None]] = {
        "goaway": lambda rig: again_and_again(rig, "/goaway", {"mode": "graceful"}),
        "goaway_abrupt": lambda rig: again_and_again(rig, "/goaway", {"mode": "abrupt"}),
        "reset_streams": lambda rig: again_and_again(rig, "/rst", {"code": "REFUSED_STREAM", "count": 50}),
        "drop_connections": lambda rig: again_and_again(rig, "/drop", {}),
        "status_with_body": lambda rig: ruled(rig, {"effect": "status:503", "probability": 0.5}),
        "status_without_body": lambda rig: ruled(rig, {"effect": "empty:503", "probability": 0.5}),
        "edge_answers": lambda rig: ruled(rig, {"effect": "html:502", "probability": 0.5}),
        "half_answers": lambda rig: ruled(rig, {"effect": "partial:INTERNAL_ERROR", "probability": 0.2}),
        "silence": lambda rig: ruled(rig, {"effect": "never", "probability": 0.02}),
        "latency": lambda rig: stated(rig, {"latency": {"p50_ms": 50, "p99_ms": 3000}}, {"latency": None}),
        "credentials": revoked,
        "every_token_invalid": every_token_invalid,
    }
    order = list(faults)[:-2]
    rig.rng.shuffle(order)
    order = [*order[: SHORT_FAULTS if rig.size.short else None], "credentials", "every_token_invalid"]
    for name in order:
        rig.wait(BETWEEN_SECONDS, 1.0)
        faults[name](rig)
        healed(rig)

    def allowed() -> None:
        """When all has drained: an answer that takes longer than a request may makes its try unknown only then."""
        rig.allowed_copies += tried_unknown(rig) - unknown
        rig.numbers["tried_again_unanswered"] = rig.allowed_copies

    rig.afterwards(allowed)
    lost: set[tuple[str, str]] = set()
    gone: set[tuple[str, str]] = set()

    def mended() -> bool:
        rows = read_rows(rig.world.settings)
        lost.clear()
        lost.update(good - rows.active())
        gone.clear()
        gone.update(good - rows.known())
        return not lost

    rig.until(mended, MENDED_SECONDS)
    rig.require(not gone, f"{len(gone)} good devices removed, such as {sorted(gone)[:3]}")
    rig.require(not lost - gone, f"{len(lost - gone)} good devices still suspended, such as {sorted(lost - gone)[:3]}")
    rig.numbers |= {"faults": order, "good_devices_lost": len(lost)}


def again_and_again(rig: Rig, path: str, value: dict[str, Any]) -> None:
    """Several times a second."""
    for _ in range(max(2, round(rig.size.fault_seconds / BETWEEN_SECONDS))):
        for simulator in rig.world.simulators.values():
            if simulator.platform != "expo" or path == "/drop":  # Expo is HTTP/1.1 behind httpx
                simulator.control(path, value)
        rig.wait(BETWEEN_SECONDS)


def ruled(rig: Rig, rule: Rule) -> None:
    """A share of the requests of every provider."""
    for simulator in rig.world.simulators.values():
        simulator.control("/rules", [rule], "PUT")
    rig.wait(rig.size.fault_seconds)


def stated(rig: Rig, bad: dict[str, Any], well: dict[str, Any]) -> None:
    """A state of every provider."""
    for simulator in rig.world.simulators.values():
        simulator.control("/state", bad, "PUT")
    rig.wait(rig.size.fault_seconds)
    for simulator in rig.world.simulators.values():
        simulator.control("/state", well, "PUT")


def revoked(rig: Rig) -> None:
    """The keys of every app at APNs and FCM."""
    chosen = [each for each in rig.world.simulators.values() if each.platform in {"apns", "fcm"}]
    for simulator in chosen:
        simulator.control("/state", _revoked(simulator), "PUT")
    rig.wait(rig.size.fault_seconds)
    for simulator in chosen:
        simulator.control("/state", {name: [] for name in _revoked(simulator)}, "PUT")


def _revoked(simulator: Simulated) -> dict[str, list[str]]:
    apps = simulator.description["credentials"]["apps"].values()
    if simulator.platform == "apns":
        return {"revoked_keys": [app["key_id"] for app in apps]}
    return {"revoked_projects": [app["project_id"] for app in apps]}


def every_token_invalid(rig: Rig) -> None:
    """As after a mistake in a provider's configuration: good tokens are called dead, by the thousand."""
    for simulator in rig.world.simulators.values():
        simulator.control("/rules", [{"effect": INVALID[simulator.platform]}], "PUT")
    rig.wait(rig.size.invalid_seconds)


def healed(rig: Rig) -> None:
    """The usual passing errors, nothing else."""
    for simulator in rig.world.simulators.values():
        simulator.fail_sometimes(rig.world.options.transient_errors)


def tried_unknown(rig: Rig) -> int:
    """Tries whose outcome is not known, by all senders since their start."""
    return sum(
        int(figures(rig.crew.page(name), 'disposition="unknown"').get(MetricName.TRIES_AGAIN, 0))
        for name in roles(rig, "sender")
    )
