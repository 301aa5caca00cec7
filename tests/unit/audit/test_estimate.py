"""What one partition says of all."""

from __future__ import annotations

from collections import Counter

from pushcast.audit.estimate import estimated
from pushcast.model.ids import partition_of


def figures(planned: int, held_out: int = 0) -> dict[str, object]:
    return {
        "planned": planned,
        "held_out": held_out,
        "users": planned - 25,
        "per_platform": {"apns": planned},
        "per_variant": {},
        "left_out": {"inactive": 3},
    }


def test_figures_are_those_of_one_partition_times_the_partitions() -> None:
    found = estimated(figures(15_525, 100), 64)
    assert (found["devices"], found["users"], found["holdout"]) == (1_000_000, 992_000, 6_400)
    assert (found["per_platform"], found["left_out"]) == ({"apns": 993_600}, {"inactive": 192})
    assert found["error"] == 0.0079  # +-0.8 % of a million devices at 64 partitions


def test_a_whole_count_has_no_error_and_an_empty_one_says_nothing_of_it() -> None:
    assert estimated(figures(1_000), 1)["error"] == 0
    assert estimated(figures(0), 64)["error"] is None


def test_fact_21_a_quick_count_of_100000_at_8_partitions_is_within_three_percent() -> None:
    for salt in range(3):
        users = Counter(partition_of(f"u-{salt}-{number}".encode(), 8) for number in range(100_000))
        assert all(abs(count * 8 / 100_000 - 1) < 0.03 for count in users.values())
