"""What the processes of `run all` used, put together."""

from __future__ import annotations

from pushcast.bench.meter import Reading
from pushcast.bench.whole import Used, part_of, used

MB = 1 << 20


def spent(**cpu_seconds: float) -> Used:
    named = {name.replace("_", "-"): seconds for name, seconds in cpu_seconds.items()}
    return Used(2.0, named, dict.fromkeys(named, MB))


def test_the_whole_is_everything_but_load_and_simulators() -> None:
    rows = spent(broker=1.0, planner_urgent=0.25, planner_bulk=0.5, load=8.0, simulator_apns=16.0).rows("p/alert", 100)
    assert [(row.name, row.items, row.seconds, row.cpu_seconds, row.rss_bytes) for row in rows] == [
        ("p/alert", 100, 2.0, 1.75, 3 * MB),
        ("p/alert/broker", 100, 2.0, 1.0, MB),
        ("p/alert/planner", 100, 2.0, 0.75, 2 * MB),
        ("p/alert/load", 100, 2.0, 8.0, MB),
        ("p/alert/simulator", 100, 2.0, 16.0, MB),
    ]


def test_a_part_without_readable_cpu_time_has_no_row() -> None:
    assert [row.name for row in spent(broker=1.0, supervisor=0.0, load=1.0).rows("p", 1)] == ["p", "p/broker", "p/load"]


def test_a_process_is_part_of_its_role() -> None:
    assert [part_of(name) for name in ("sender-normal", "settler", "simulator-fcm")] == [
        "sender",
        "settler",
        "simulator",
    ]


def test_what_was_used_is_the_difference_of_two_looks_and_memory_is_the_peak() -> None:
    start = {"load": Reading(10.0, 1.0, MB), "broker": Reading(10.0, 5.0, 2 * MB)}
    end = {"load": Reading(13.0, 1.5, MB), "broker": Reading(13.1, 7.25, 3 * MB)}
    assert used(start, end) == Used(3.0, {"load": 0.5, "broker": 2.25}, {"load": MB, "broker": 3 * MB})
