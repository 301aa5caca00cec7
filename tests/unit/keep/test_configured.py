"""What a keeper takes from the configuration."""

from __future__ import annotations

from pushcast.config.settings import Settings
from pushcast.keep.stage import keep_rules
from pushcast.model.digest import NO_RULE
from pushcast.model.pacing import Rates

CLASSES = {
    "likes": {"ttl_seconds": 3_600, "digest": {"window_seconds": 600, "max_events": 7}},
    "night": {"ttl_seconds": 604_800, "quiet": "digest"},
    "call": {"ttl_seconds": 0, "mandatory": True},
}


def test_a5_a_digest_of_a_class_without_one_lives_as_the_class_says() -> None:
    """Quiet hours and caps gather those, too: a push for a week was over after a day."""
    rules = keep_rules(Settings.model_validate({"classes": CLASSES}), Rates({}, {})).digests
    assert (rules["likes"].ttl_ms, rules["likes"].max_events) == (3_600_000, 7)
    assert rules["night"].ttl_ms == 604_800_000
    assert rules["call"] == NO_RULE


def test_p1_it_knows_which_classes_nobody_can_opt_out_of() -> None:
    assert keep_rules(Settings.model_validate({"classes": CLASSES}), Rates({}, {})).mandatory == {"call"}
