from __future__ import annotations

from pushcast.bench import sim
from pushcast.bench.base import Options


def test_a_row_is_of_the_simulator_and_of_accepted_requests() -> None:
    said: list[str] = []
    result = sim.run(Options(items=2_000, shapes=("sim/fcm/checks",), say=said.append))
    (row,) = result.rows
    assert (row.name, row.items) == ("sim/fcm/checks", 2_000)
    assert row.cpu_seconds > 0
    assert row.rss_bytes > 10_000_000
    assert said[0].startswith("sim/fcm/checks: ")


def test_checks_are_measured_on_and_off() -> None:
    assert {(case.platform, case.checks) for case in sim.CASES} == {
        (platform, checks) for platform in ("apns", "fcm") for checks in (True, False)
    }
