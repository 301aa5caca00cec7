from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pushcast.observe.catalogue import BY_NAME
from pushcast.observe.catalogue import MetricName as Name
from pushcast.observe.metrics import Metrics, Sample
from pushcast.observe.vocabulary import MAX_OPEN_VALUES, Vocabulary


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(Vocabulary(apps=["news"], topics=["push.receipt.v1"], groups=["pushcast-plan-urgent"]))


def _scrape(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(metrics.exposition().decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_a_histogram_that_somebody_else_keeps_is_shown_as_it_is() -> None:
    metrics = Metrics(Vocabulary())
    bounds = BY_NAME[Name.ACCEPTED_SECONDS].buckets
    for total in (1.5, 2.5):
        metrics.put_histogram(Name.ACCEPTED_SECONDS, [2, *[0] * len(bounds)], total, ("urgent",))
    page = metrics.exposition().decode()
    assert 'pushcast_accepted_seconds_bucket{lane="urgent",le="+Inf"} 2.0' in page
    assert 'pushcast_accepted_seconds_sum{lane="urgent"} 2.5' in page


def test_a_counter_of_a_source_is_read_at_each_scrape(metrics: Metrics) -> None:
    counts = {"x": 3}
    metrics.add_source(lambda: [Sample(Name.BATCHES, counts["x"], ("apns", "bulk"))])
    series = ("pushcast_batches_total", (("lane", "bulk"), ("platform", "apns")))
    assert _scrape(metrics)[series] == 3
    counts["x"] = 5
    assert _scrape(metrics)[series] == 5


def test_equal_labels_of_several_sources_add_up(metrics: Metrics) -> None:
    for value in (1, 2):
        metrics.add_source(lambda value=value: [Sample(Name.OUTBOX_RECORDS, value)])  # type: ignore[misc]
    assert _scrape(metrics)["pushcast_outbox_records", ()] == 3


def test_of_ages_the_largest_counts(metrics: Metrics) -> None:
    labels = ("pushcast-plan-urgent", "push.receipt.v1")
    metrics.add_source(lambda: [Sample(Name.OLDEST_UNFINISHED, age, labels) for age in (2.0, 7.0, 1.0)])
    (value,) = [value for (name, _), value in _scrape(metrics).items() if name == Name.OLDEST_UNFINISHED]
    assert value == 7.0


def test_counts_that_nobody_keeps_elsewhere_are_kept_here(metrics: Metrics) -> None:
    metrics.count(Name.LOG_LINES_SUPPRESSED)
    metrics.count(Name.LOG_LINES_SUPPRESSED, 4)
    assert _scrape(metrics)["pushcast_log_lines_suppressed_total", ()] == 5


def test_a_histogram_counts_cumulatively_with_bounds_included(metrics: Metrics) -> None:
    metrics.observe(Name.PROVIDER_SECONDS, [0.005, 0.006, 11.0], ("news", "apns"))
    metrics.observe(Name.PROVIDER_SECONDS, [0.2], ("news", "apns"))
    scraped = _scrape(metrics)
    labels = (("app", "news"), ("platform", "apns"))

    def at_most(bound: str) -> float:
        return scraped[
            "pushcast_provider_request_seconds_bucket", (("app", "news"), ("le", bound), ("platform", "apns"))
        ]

    assert [at_most(bound) for bound in ("0.005", "0.01", "0.25", "10.0", "+Inf")] == [1, 2, 3, 3, 4]
    assert scraped["pushcast_provider_request_seconds_count", labels] == 4
    assert scraped["pushcast_provider_request_seconds_sum", labels] == pytest.approx(11.211)


@pytest.mark.parametrize("app", ["sports", "x" * 1000, "news\n"])
def test_an_app_that_is_not_configured_becomes_other(metrics: Metrics, app: str) -> None:
    metrics.add_source(lambda: [Sample(Name.IN_FLIGHT, 2, (app, "apns"))])
    scraped = _scrape(metrics)
    assert scraped["pushcast_in_flight_deliveries", (("app", "other"), ("platform", "apns"))] == 2
    assert scraped["pushcast_label_values_refused_total", (("kind", "app"),)] >= 1


def test_a_reason_of_a_provider_table_passes_and_their_number_is_bounded(metrics: Metrics) -> None:
    words = [f"reason_{number}" for number in range(MAX_OPEN_VALUES + 50)]
    metrics.add_source(lambda: [Sample(Name.NOT_PLANNED, 1, ("bulk", word)) for word in words])
    scraped = _scrape(metrics)
    name = "pushcast_notifications_not_planned_total"
    assert scraped[name, (("lane", "bulk"), ("reason", "reason_0"))] == 1
    assert scraped[name, (("lane", "bulk"), ("reason", "other"))] == 50
    assert len([key for key in scraped if key[0] == name]) == MAX_OPEN_VALUES + 1


def test_a_known_reason_passes_after_the_bound_is_reached() -> None:
    vocabulary = Vocabulary(reasons=["provider_word"])
    label = Name.DEVICES_REMOVED
    metrics = Metrics(vocabulary)
    words = [*(f"reason_{number}" for number in range(MAX_OPEN_VALUES)), "provider_word", "no_devices"]
    metrics.add_source(lambda: [Sample(label, 1, (word,)) for word in words])
    assert _scrape(metrics)["pushcast_devices_removed_total", (("reason", "provider_word"),)] == 1
    assert not vocabulary.refused


def test_a_text_that_is_no_word_becomes_other(metrics: Metrics) -> None:
    metrics.add_source(lambda: [Sample(Name.DEVICES_REMOVED, 1, ('spaces and "quotes"',))])
    assert _scrape(metrics)["pushcast_devices_removed_total", (("reason", "other"),)] == 1


def test_the_wrong_number_of_labels_is_an_error(metrics: Metrics) -> None:
    with pytest.raises(ValueError, match="pushcast_batches_total has the labels platform, lane"):
        metrics.count(Name.BATCHES, 1, ("apns",))


def test_the_process_itself_is_on_the_page(metrics: Metrics) -> None:
    assert "process_cpu_seconds_total" in metrics.exposition().decode()


def test_each_process_has_a_registry_of_its_own() -> None:
    one, two = Metrics(Vocabulary()), Metrics(Vocabulary())
    one.count(Name.LOG_LINES_SUPPRESSED)
    assert ("pushcast_log_lines_suppressed_total", ()) not in _scrape(two)
