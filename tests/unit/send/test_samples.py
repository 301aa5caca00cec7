"""What SEND counts, as metrics."""

from __future__ import annotations

from pushcast.model.words import Lane, Platform
from pushcast.observe.catalogue import BY_NAME
from pushcast.observe.catalogue import MetricName as Name
from pushcast.observe.metrics import Sample
from pushcast.send.figures import Figures
from pushcast.send.samples import samples_of


def test_what_a_sender_counts_is_labelled() -> None:
    figures = Figures()
    figures.outcomes["news", Platform.APNS, Lane.BULK, "invalid", "device_unregistered"] += 2
    figures.tries_again["news", Platform.APNS, Lane.BULK, "unknown"] += 3
    figures.edge[Lane.BULK, "dead_letters", "undecodable"] += 1
    figures.dropped[Platform.APNS, Lane.BULK] += 5
    figures.void[Platform.APNS, Lane.BULK] += 6
    figures.skipped[Platform.APNS, Lane.BULK] += 7
    figures.expiries_cut[Platform.FCM, Lane.BULK] += 8
    figures.parked["news", Platform.APNS, Lane.BULK, "breaker"] += 8
    figures.breakers["news", Platform.APNS] = "half_open"
    figures.breakers["chat", Platform.APNS] = "closed"
    figures.breakers_opened["news", Platform.APNS, "expired_key"] += 1
    assert set(samples_of(figures)) == {
        Sample(Name.OUTCOMES, 2, ("news", "apns", "bulk", "invalid", "device_unregistered")),
        Sample(Name.TRIES_AGAIN, 3, ("news", "apns", "bulk", "unknown")),
        Sample(Name.DEAD_LETTERS, 1, ("sender", "bulk", "undecodable")),
        Sample(Name.DROPPED, 5, ("apns", "bulk")),
        Sample(Name.SEND_VOID, 6, ("apns", "bulk")),
        Sample(Name.SKIPPED, 7, ("apns", "bulk")),
        Sample(Name.EXPIRIES_CUT, 8, ("fcm", "bulk")),
        Sample(Name.PARKED, 8, ("news", "apns", "bulk", "breaker")),
        Sample(Name.BREAKER_OPEN, 1, ("news", "apns")),
        Sample(Name.BREAKER_OPEN, 0, ("chat", "apns")),
        Sample(Name.BREAKERS_OPENED, 1, ("news", "apns", "expired_key")),
    }
    assert all(len(sample.labels) == len(BY_NAME[sample.name].labels) for sample in samples_of(figures))
