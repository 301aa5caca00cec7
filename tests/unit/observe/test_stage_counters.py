"""Each stage declares the metric of everything that it counts."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

from pushcast.observe.catalogue import BY_NAME
from pushcast.observe.catalogue import MetricName as Name
from pushcast.observe.metrics import Sample
from pushcast.observe.stage_counters import COMMON, StageCounters, stage, takeovers

APP = Path(__file__).parents[3] / "app" / "pushcast"
STAGES = sorted(path.parent.name for path in APP.glob("*/counters.py"))


def own(name: str) -> StageCounters:
    found: StageCounters = import_module(f"pushcast.{name}.counters").COUNTERS
    return found


def test_the_stages_that_count_are_found() -> None:
    assert {"keep", "own", "plan", "register", "settle", "spread", "walk"} <= set(STAGES)


@pytest.mark.parametrize("name", STAGES)
def test_every_sample_of_a_stage_has_the_labels_of_the_catalogue(name: str) -> None:
    counters = {(counter, "word|x"): 2 for counter in {**COMMON, **own(name)}}
    samples = list(stage("planner", "urgent", counters, own(name)))
    assert len(samples) == len(counters)
    for metric, value, labels in samples:
        assert value == 2
        assert len(labels) == len(BY_NAME[metric].labels), metric


def test_labels_stand_in_the_order_of_the_catalogue() -> None:
    counted = {("dead_letters", "not_json"): 3, ("batches", "apns"): 2, ("earlier_rows", "table|push.device.v1"): 1}
    assert list(stage("planner", "urgent", counted, own("plan"))) == [
        Sample(Name.DEAD_LETTERS, 3, ("planner", "urgent", "not_json")),
        Sample(Name.BATCHES, 2, ("apns", "urgent")),
        Sample(Name.EARLIER_SCHEMAS, 1, ("table", "push.device.v1")),
    ]


def test_a_counter_without_a_metric_is_not_silent() -> None:
    (sample,) = stage("planner", "urgent", {("novelty", ""): 7})
    assert sample == Sample(Name.LABELS_REFUSED, 7, ("counter",))


@pytest.mark.parametrize("name", STAGES)
def test_every_counter_of_a_stage_has_a_metric_and_every_declared_one_is_counted(name: str) -> None:
    texts = [path.read_text() for path in (APP / name).rglob("*.py") if path.name != "counters.py"]
    used = {found for text in texts for found in re.findall(r"""(?:_count\(|counters\[)["'](\w+)["'],""", text)}
    assert used <= {*COMMON, *own(name)}
    assert all(any(f'"{declared}"' in text for text in texts) for declared in own(name))


def test_takeovers_count_claims_of_either_kind() -> None:
    assert list(takeovers("sender", "bulk", {"takeovers": 4, "tail_records": 9, "unreadable": 2})) == [
        Sample(Name.TAKEOVERS, 4, ("sender", "bulk")),
        Sample(Name.TAIL_RECORDS, 9, ("sender", "bulk")),
        Sample(Name.TAIL_VOID, 0, ("sender", "bulk")),
        Sample(Name.TAIL_UNREADABLE, 2, ("sender", "bulk")),
    ]
    [claims, *_] = takeovers("planner", "bulk", {"claims": 2})
    assert claims == Sample(Name.TAKEOVERS, 2, ("planner", "bulk"))
