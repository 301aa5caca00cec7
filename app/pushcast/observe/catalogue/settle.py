"""SETTLE and POLL, in the settler's process: waits that are over, parked work, receipts of Expo."""

from __future__ import annotations

from typing import Final

from pushcast.observe.catalogue.metric import Label, Metric, MetricName

L = Label
N = MetricName

METRICS: Final = (
    Metric(
        N.RETRIED,
        "counter",
        "targets",
        (L.PLATFORM,),
        "Targets that waited on the retry ladder, or were parked, and went back to their send topic.",
        "A steady share: the provider is overloaded, see its verdicts by reason.",
    ),
    Metric(
        N.PARKED_CARRIED,
        "counter",
        "targets",
        (L.PLATFORM,),
        "Targets of parked work that a pass found still held and wrote to the end of the parked topic.",
        "It grows while something is paused or broken: see `pushcast pause` and the breakers.",
    ),
    Metric(
        N.SETTLED_BEFORE,
        "counter",
        "targets",
        (L.PLATFORM,),
        "Targets that a settler left out after a takeover, because its predecessor had passed them on.",
        "Nothing: this is how they are not sent twice.",
    ),
    Metric(
        N.SETTLE_VOID,
        "counter",
        "records",
        (L.TOPIC,),
        "Parked records of a settler that had lost its partition; they do not count.",
        "Many: processes are stopped for longer than their session timeout.",
    ),
    Metric(
        N.RETRIES_ENDED,
        "counter",
        "deliveries",
        (L.REASON,),
        "Deliveries past their expiry when their wait was over; `unknown_outcome` may have arrived earlier.",
        "Many: classes live shorter than the ladder, or SETTLE lags.",
    ),
    Metric(
        N.PROVIDER_RECEIPTS,
        "counter",
        "deliveries",
        (L.APP, L.PLATFORM, L.DISPOSITION, L.REASON),
        "What became of pushes that Expo had accepted with a ticket, by its receipts; `unknown` ones never had one.",
        "`third_party_credential_refused`: the project's APNs or FCM key at Expo is wrong, nothing arrives.",
    ),
    Metric(
        N.RECEIPTS_ASKED,
        "counter",
        "requests",
        (L.APP, L.PLATFORM, L.RESULT),
        "Requests for receipts, by what came of them.",
        "Others than `answered`, steadily: dead Expo tokens are not found; after 24 hours the receipts are gone.",
    ),
)
