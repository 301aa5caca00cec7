"""The demo's verdict: balanced only when topics and simulators say the same."""

from __future__ import annotations

from typing import Any

import pytest

from pushcast.audit.accounts import Totals
from pushcast.audit.timer_ledger import TimerTotals
from pushcast.demo.result import Tally, per_lane, result_of, worst_latency
from pushcast.simulators.latency import LatencyHistogram
from pushcast.wire.answers.receipts import Planned, PlannedFacts


def totals(accepted: int = 3, invalid: int = 1, **fields: Any) -> Totals:
    made = Totals(planned=accepted + invalid, notifications=2, **fields)
    made.outcomes.update(accepted=accepted, invalid=invalid)
    return made


def simulator(accepted: int, duplicates: int = 0, complete: bool = True) -> dict[str, Any]:
    return {
        "accepted": accepted,
        "duplicates": duplicates,
        "copies_complete": complete,
        "requests": accepted + 1,
        "latency_ms": {"p50": 1.0, "p95": 2.0, "p99": float(accepted)},
        "arrivals": {"urgent": arrived(*range(1, accepted + 1))},
    }


def arrived(*waits_ms: float) -> dict[str, Any]:
    histogram = LatencyHistogram()
    for wait in waits_ms:
        histogram.add(wait)
    return {"counts": histogram.counts(), "max_ms": histogram.max_ms}


def tally() -> Tally:
    made = Tally()
    for platform, outcome, at in (("apns", "accepted", 1500), ("apns", "accepted", 3000), ("fcm", "accepted", 2000)):
        made.add(
            {"platform": platform, "outcome": outcome, "ended_at": at, "created_at": 1000, "lane": "bulk", "source": 0}
        )
    made.add(
        {"platform": "fcm", "outcome": "invalid", "ended_at": 2500, "created_at": 2000, "lane": "urgent", "source": 0}
    )
    made.add(
        {"platform": None, "outcome": "suppressed", "reason": "digested", "ended_at": 2600, "lane": "bulk", "source": 0}
    )
    return made


def result(**changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "totals": totals(),
        "tally": tally(),
        "simulators": {"apns": simulator(2), "fcm": simulator(1)},
        "devices": 4,
        "dead_tokens": 1,
        "devices_removed": 1,
        "engines": {"apns": "multicast"},
        "produced_from_ms": 1000,
    }
    return result_of(**(given | changes))


def test_the_keys_are_those_of_the_contract() -> None:
    names = (
        "planned accepted invalid rejected expired suppressed cancelled dead unaccounted duplicates_at_provider "
        "copies_of_receipts notifications devices devices_removed seconds pushes_per_second latency_ms per_platform "
        "balanced"
    )
    assert set(names.split()) <= result().keys()


def test_time_runs_from_the_first_event_to_the_last_receipt() -> None:
    made = result()
    assert (made["seconds"], made["pushes_per_second"]) == (2.0, 2)


def test_platforms_show_engine_and_outcomes() -> None:
    shown = result()["per_platform"]
    assert (shown["apns"]["engine"], shown["apns"]["accepted"], shown["apns"]["requests_at_provider"]) == (
        "multicast",
        2,
        3,
    )
    assert (shown["fcm"]["accepted"], shown["fcm"]["invalid"]) == (1, 1)


def test_what_agrees_everywhere_is_balanced() -> None:
    assert result()["balanced"] is True


@pytest.mark.parametrize(
    "changes",
    [
        {"simulators": {"apns": simulator(2), "fcm": simulator(2)}},
        {"simulators": {"apns": simulator(2, duplicates=1), "fcm": simulator(1)}},
        {"simulators": {"apns": simulator(2, complete=False), "fcm": simulator(1)}},
        {"totals": totals(unaccounted=1)},
        {"totals": totals(unbalanced=[{"where": "lost"}])},
    ],
    ids=["counts differ", "a push came twice", "copies were not all counted", "unaccounted", "unbalanced"],
)
def test_anything_that_does_not_agree_is_not_balanced(changes: dict[str, Any]) -> None:
    assert result(**changes)["balanced"] is False


def test_what_was_suppressed_is_told_by_its_reason() -> None:
    assert result()["suppressed_by_reason"] == {"digested": 1}


def test_what_waited_is_told_by_its_reason() -> None:
    waited = tally()
    planned = Planned("normal")
    planned.add(7, "a", {}, reason="quiet_hours", facts=PlannedFacts(held=1))
    planned.add(8, "b", {}, reason="no_devices")
    planned.add(9, "c", {}, reason="digest", facts=PlannedFacts(held=1))
    waited.planned(planned)
    assert result(tally=waited)["held_by_reason"] == {"digest": 1, "quiet_hours": 1}


def test_lanes_show_the_time_from_event_to_arrival_over_the_arrivals_of_all_simulators() -> None:
    apns = {"arrivals": {"urgent": arrived(10, 20, 30), "bulk": arrived(7_000)}}
    fcm = {"arrivals": {"urgent": arrived(1_000)}}
    shown = per_lane({"apns": apns, "fcm": fcm})
    assert {lane: row["arrived"] for lane, row in shown.items()} == {"bulk": 1, "urgent": 4}
    assert shown["urgent"]["latency_ms"] == pytest.approx({"p50": 20, "p95": 1_000, "p99": 1_000}, rel=0.02)
    assert shown["bulk"]["latency_ms"]["p50"] == pytest.approx(7_000, rel=0.02)


def test_the_start_is_shown_apart_from_what_comes_later_and_counts_in_its_lane() -> None:
    apns = {"arrivals": {"urgent/first 3 s": arrived(900), "urgent/later": arrived(10, 20)}}
    fcm = {"arrivals": {"urgent/later": arrived(30)}}
    urgent = per_lane({"apns": apns, "fcm": fcm})["urgent"]
    assert urgent["arrived"] == 4
    assert urgent["latency_ms"]["p99"] == pytest.approx(900, rel=0.02)
    parts = urgent["parts"]
    assert {part: row["arrived"] for part, row in parts.items()} == {"first 3 s": 1, "later": 3}
    assert parts["later"]["latency_ms"]["p99"] == pytest.approx(30, rel=0.02)


def test_the_verdict_has_the_lanes_of_its_simulators() -> None:
    assert result()["per_lane"]["urgent"]["arrived"] == 3


def test_the_latency_shown_is_the_slower_platforms() -> None:
    assert result()["latency_ms"] == {"p50": 1.0, "p95": 2.0, "p99": 2.0}
    assert worst_latency({"apns": {"latency_ms": None}}) == {"p50": None, "p95": None, "p99": None}


def test_copies_are_forgiven_up_to_the_bound_of_a_killed_sender_and_no_further() -> None:
    doubled = {"apns": simulator(4, duplicates=2), "fcm": simulator(1)}
    assert result(simulators=doubled, duplicates_bound=2)["balanced"]
    assert not result(simulators=doubled, duplicates_bound=1)["balanced"]
    assert not result(simulators=doubled)["balanced"]


def test_a_receipt_that_no_provider_has_seen_is_no_balance_under_faults_either() -> None:
    assert not result(simulators={"apns": simulator(2), "fcm": simulator(0)}, duplicates_bound=10)["balanced"]


@pytest.mark.parametrize(
    "timers", [TimerTotals(held=1, lost=1), TimerTotals(held=1, twice=1), TimerTotals(1, waiting=1)]
)
def test_a_timer_that_is_lost_or_still_waits_is_no_balance(timers: TimerTotals) -> None:
    assert result()["balanced"]
    assert not result(timers=timers)["balanced"]
