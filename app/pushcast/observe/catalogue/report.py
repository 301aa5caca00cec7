"""Reports."""

from __future__ import annotations

from typing import Final

from pushcast.observe.catalogue.metric import Label, Metric, MetricName

L = Label
N = MetricName

METRICS: Final = (
    Metric(
        N.REPORT_PARTITIONS,
        "gauge",
        "partitions",
        (),
        "Partitions whose reports this process keeps.",
        "The sum over all reporters is below kafka.partitions: reports name the others as missing; start a reporter.",
    ),
    Metric(
        N.REPORT_BEHIND,
        "gauge",
        "records",
        (L.TOPIC,),
        "Records of the books that are written and not yet in the reports, as far as was heard.",
        "Grows for minutes: reports are old; start another reporter. After a start on a new disk it falls for a while.",
    ),
    Metric(
        N.REPORT_AS_OF,
        "gauge",
        "seconds",
        (L.PARTITION,),
        "How old the reports of a partition are: since when everything that was written, as far as was heard, is in "
        "them. None before the books of the partition were read to their end.",
        "Above 10: the reporter is slow or its disk is; pushcast_report_behind_records says how much is left to read.",
    ),
    Metric(
        N.REPORT_ROWS,
        "gauge",
        "rows",
        (),
        "Rows in the stores of this process, as RocksDB estimates them: deliveries, planned rows and sums.",
        "About 60 bytes each on disk. Too many: lower reports.keep_days, or give chats `report: totals`.",
    ),
    Metric(
        N.REPORT_OVERDUE,
        "gauge",
        "deliveries",
        (L.CLASS,),
        "Deliveries that became due in the last 7 days, whose notification or broadcast expired more than 5 minutes "
        "ago and that have no receipt; those of broadcasts have no class. Of a class without `report: full` they count "
        "when everything of the class has expired that became due in the same minute.",
        "`GET /v1/reports?state=overdue` names the reports, `pushcast report totals --class` the minutes of a class "
        "that keeps none, `pushcast why` where a delivery is: behind a stage that stands still "
        "(pushcast_group_lag_records), or lost, which `pushcast audit` says.",
    ),
    Metric(
        N.REPORT_EXPORTED,
        "gauge",
        "seconds",
        (),
        "End of the last day that was exported whole (`reports.export`), in seconds since the epoch; 0: none is. Only "
        "the reporter that has partition 0 tells it.",
        "Older than two days: the reporter's log says `day_not_exported` and why. Receipts are kept for 7 days.",
    ),
    Metric(
        N.ENGAGEMENT_UNMATCHED,
        "counter",
        "deliveries",
        (L.APP,),
        "Deliveries that an app says it received or opened and that still had no receipt two hours later. "
        "Those of classes with `report: totals` are always among them.",
        "Grows: the app sends another user, device or notification id than the push was for; `pushcast why` with them.",
    ),
    Metric(
        N.REPORT_UNREADABLE,
        "gauge",
        "records",
        (L.TOPIC, L.REASON),
        "Records of the books that were left out because they could not be read, in the stores of this process.",
        "push.engagement.v1: an app sends events with an error; `reason` says which. push.device.changed.v1: it may "
        "have been an erasure; forget the user again. Others: see the log.",
    ),
    Metric(
        N.WEBHOOK_REQUESTS,
        "counter",
        "requests",
        (L.ENDPOINT, L.RESULT),
        "Tries to post to an endpoint, by result: ok, http_<status>, timeout, connection or blocked_address.",
        "Other than ok: ask whoever runs the endpoint. blocked_address: its name does not resolve to a public address.",
    ),
    Metric(
        N.WEBHOOK_LAG,
        "gauge",
        "records",
        (L.ENDPOINT,),
        "Records that are written and not yet posted or passed by.",
        "Grows: the endpoint is slow or fails. What waits for longer than the 7 days of the topics is lost.",
    ),
    Metric(
        N.WEBHOOK_AGE,
        "gauge",
        "seconds",
        (L.ENDPOINT,),
        "Since the oldest event that was read and is not yet posted was recorded; 0 without any.",
        "Above a minute: the endpoint is slow or fails; pushcast_webhook_requests_total says how.",
    ),
    Metric(
        N.WEBHOOK_DISABLED,
        "gauge",
        "",
        (L.ENDPOINT,),
        "1: nothing is posted until an operator says so. It answered 410, or took nothing for 72 hours.",
        "`pushcast webhook list` says why; `pushcast webhook resume NAME` when it works again.",
    ),
    Metric(
        N.WEBHOOK_LOST,
        "counter",
        "records",
        (L.ENDPOINT,),
        "Records that Kafka had removed before they were posted.",
        "The endpoint failed for longer than its topics keep. `pushcast receipts` has what became of deliveries.",
    ),
    Metric(
        N.WEBHOOK_UNREADABLE,
        "counter",
        "records",
        (L.ENDPOINT, L.REASON),
        "Records that could not be read and were passed by.",
        "Somebody else writes to the topic, or the process is older than the writer: see the log.",
    ),
    Metric(
        N.SLO_PLANNED,
        "counter",
        "deliveries",
        (L.APP, L.CLASS),
        "Deliveries that should have been accepted by now: planned ones, when their time is over. "
        "Broadcasts, dry runs and classes with windows longer than `slo.within_seconds` are not counted. "
        "`app` is empty for notifications that name none and so go to every app of a user.",
        "With pushcast_slo_late_total it is the service level; the rules of deploy/prometheus/rules.yml divide them.",
    ),
    Metric(
        N.SLO_LATE,
        "counter",
        "deliveries",
        (L.APP, L.CLASS),
        "Of those, the ones that no provider accepted within `slo.within_seconds` and whose end nothing excuses "
        "(invalid, suppressed, cancelled). What nobody sends is late as well.",
        "Look at pushcast_group_lag_records: the first stage with a lag is the one that is slow or down.",
    ),
    Metric(
        N.SLO_UNPLANNED,
        "gauge",
        "records",
        (L.LANE,),
        "Notifications older than `slo.within_seconds` that no planner has planned. Each settler asks every 30 s; "
        "lanes with a class whose window is longer are not looked at.",
        "Planners of the lane are down or slow: `pushcast status`. Over processes take the largest.",
    ),
    Metric(
        N.ACCEPTED_SECONDS,
        "histogram",
        "seconds",
        (L.LANE,),
        "From when a delivery was due to its acceptance by the provider. Of what pushcast_slo_planned_total counts.",
        "Rises with the lag of a stage (pushcast_group_lag_records) or with pushcast_provider_request_seconds.",
        (0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20, 30, 60, 120, 300, 900),
    ),
    Metric(
        N.CANARY_SUCCESS,
        "gauge",
        "seconds",
        (L.APP, L.PLATFORM),
        "When a canary's push was last accepted by its provider, in seconds since the epoch; 0: not within a day.",
        "Older than two periods: `pushcast why canary-<app>-<platform>-<number> --user canary:<app>:<platform>`.",
    ),
    Metric(
        N.CANARY_SECONDS,
        "gauge",
        "seconds",
        (L.APP, L.PLATFORM),
        "From the creation of the canary's last accepted push to the provider's answer.",
        "The time that every urgent push takes now, when nothing else of it is known.",
    ),
)
