"""What POLL counts, as metrics."""

from __future__ import annotations

from pushcast.model.words import Platform
from pushcast.observe.catalogue import MetricName as Name
from pushcast.observe.metrics import Sample
from pushcast.poll.figures import PollCounters
from pushcast.poll.samples import samples_of


def test_what_a_poller_counts_is_labelled() -> None:
    figures = PollCounters()
    figures.receipts["news", Platform.EXPO, "invalid", "device_unregistered"] += 2
    figures.asked["news", Platform.EXPO, "answered"] += 1
    figures.edge["dead_letters", "undecodable"] += 3
    assert list(samples_of(figures)) == [
        Sample(Name.PROVIDER_RECEIPTS, 2, ("news", "expo", "invalid", "device_unregistered")),
        Sample(Name.RECEIPTS_ASKED, 1, ("news", "expo", "answered")),
        Sample(Name.DEAD_LETTERS, 3, ("settler", "", "undecodable")),
    ]
