"""Counters stand at zero before anything happens (faults.md P3-31: the first dead letter was missed by `rate()`)."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pushcast.model.words import Lane, Platform
from pushcast.observe.catalogue import BY_NAME
from pushcast.observe.metrics import Metrics, Sample
from pushcast.observe.vocabulary import Vocabulary
from pushcast.observe.zeros import LETTER_REASONS, of_sender, of_stage

ALL = [*of_stage("planner", Lane.BULK), *of_sender(["news"], Platform.FCM, Lane.BULK)]


@pytest.mark.parametrize("sample", ALL, ids=lambda sample: " ".join((sample.name, *sample.labels)))
def test_each_is_a_counter_at_zero_with_the_labels_of_the_catalogue(sample: Sample) -> None:
    metric = BY_NAME[sample.name]
    assert (metric.kind, sample.value, len(sample.labels)) == ("counter", 0, len(metric.labels))


def test_what_is_counted_is_added_to_it() -> None:
    metrics = Metrics(Vocabulary(apps=["news"]))
    metrics.add_source(lambda: ALL)
    metrics.add_source(lambda: [Sample(each.name, 2, each.labels) for each in ALL if "not_json" in each.labels])
    families = text_string_to_metric_families(metrics.exposition().decode())
    [letters] = [family for family in families if family.name == "pushcast_dead_letters"]
    values = {sample.labels["reason"]: sample.value for sample in letters.samples}
    assert values == {str(reason): 2 if reason == "not_json" else 0 for reason in LETTER_REASONS}
