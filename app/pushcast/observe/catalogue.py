"""Every metric that Pushcast exports: what it is, and what to do about it. docs/metrics.md is generated from here.

Names end in their base unit (seconds, bytes) and in `_total` when they only grow. Names and labels are public API.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

Kind = Literal["counter", "gauge", "histogram"]


class Label(StrEnum):
    """Labels and what their values are. Each has few values; one that is not known becomes `other`."""

    APP = "app"  # a key of `apps` in the configuration
    DISPOSITION = "disposition"  # what an attempt came to that was not the last
    GROUP = "group"  # consumer group
    KIND = "kind"
    LANE = "lane"
    OPERATION = "operation"  # of a device change
    OUTCOME = "outcome"
    PLATFORM = "platform"
    REASON = "reason"  # the word of receipts and dead letters
    RESULT = "result"
    ROLE = "role"
    TOPIC = "topic"
    VERSION = "version"


class MetricName(StrEnum):
    """A metric that is not here does not exist: mypy refuses any other name."""

    INFO = "pushcast_info"
    READY = "pushcast_ready"
    RECORDS_CONSUMED = "pushcast_records_consumed_total"
    LAG = "pushcast_lag_records"
    OLDEST_UNFINISHED = "pushcast_oldest_unfinished_seconds"
    UNFINISHED_RECORDS = "pushcast_unfinished_records"
    UNFINISHED_BYTES = "pushcast_unfinished_bytes"
    UNFINISHED_TARGETS = "pushcast_unfinished_targets"
    PARTITIONS = "pushcast_assigned_partitions"
    PARTITIONS_PAUSED = "pushcast_paused_partitions"
    HEARTBEAT_AGE = "pushcast_heartbeat_age_seconds"
    OUTBOX_RECORDS = "pushcast_outbox_records"
    TABLE_ROWS = "pushcast_table_rows"
    DEAD_LETTERS = "pushcast_dead_letters_total"
    DEAD_LETTERS_LOST = "pushcast_dead_letters_lost_total"
    FORWARDED = "pushcast_records_forwarded_total"
    DEVICE_CHANGES = "pushcast_device_changes_total"
    DEVICES_REMOVED = "pushcast_devices_removed_total"
    SUSPENSIONS = "pushcast_suspensions_total"
    HOLDS_OVER = "pushcast_holds_over_total"
    VOID_ROWS = "pushcast_void_rows_total"
    REGISTER_CLAIMS = "pushcast_register_claims_total"
    TOKENS_KEPT = "pushcast_tokens_kept_total"
    ROWS_UNREADABLE = "pushcast_unreadable_rows_total"
    BATCHES = "pushcast_batches_total"
    TARGETS = "pushcast_planned_targets_total"
    BATCH_TARGETS = "pushcast_batch_targets"
    NOT_PLANNED = "pushcast_notifications_not_planned_total"
    OUTCOMES = "pushcast_outcomes_total"
    TRIES_AGAIN = "pushcast_tries_again_total"
    RETRIED = "pushcast_retried_targets_total"
    RETRIES_ENDED = "pushcast_retries_ended_total"
    PARKED_CARRIED = "pushcast_parked_carried_targets_total"
    SETTLED_BEFORE = "pushcast_settled_before_targets_total"
    SETTLE_VOID = "pushcast_settle_void_records_total"
    DROPPED = "pushcast_dropped_targets_total"
    PROVIDER_RECEIPTS = "pushcast_provider_receipts_total"
    RECEIPTS_ASKED = "pushcast_receipt_questions_total"
    SEND_VOID = "pushcast_void_batches_total"
    SKIPPED = "pushcast_skipped_targets_total"
    PARKED = "pushcast_parked_targets_total"
    BREAKER_OPEN = "pushcast_breaker_open"
    BREAKERS_OPENED = "pushcast_breakers_opened_total"
    PAUSED = "pushcast_paused"
    CONTROL_IGNORED = "pushcast_control_records_ignored_total"
    TAKEOVERS = "pushcast_takeovers_total"
    TAIL_RECORDS = "pushcast_tail_records_total"
    TAIL_VOID = "pushcast_tail_void_records_total"
    IN_FLIGHT = "pushcast_in_flight_deliveries"
    IN_FLIGHT_LIMIT = "pushcast_in_flight_deliveries_limit"
    PROVIDER_SECONDS = "pushcast_provider_request_seconds"
    PROVIDER_CONNECTIONS = "pushcast_provider_connections"
    PROVIDER_CONNECTIONS_ENDED = "pushcast_provider_connections_ended_total"
    LOOP_DELAY = "pushcast_loop_delay_seconds"
    LOG_LINES_SUPPRESSED = "pushcast_log_lines_suppressed_total"
    LABELS_REFUSED = "pushcast_label_values_refused_total"


@dataclass(frozen=True, slots=True)
class Metric:
    """One entry. `remedy` tells an operator when to worry and what to do."""

    name: MetricName
    kind: Kind
    unit: str
    labels: tuple[Label, ...]
    meaning: str
    remedy: str
    buckets: tuple[float, ...] = ()


#: Around what providers answer in: APNs some ms, FCM tens to hundreds; the deadline of a request is 10 s.
_REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_TARGETS = (1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0)

L = Label
N = MetricName

CATALOGUE: Final[tuple[Metric, ...]] = (
    Metric(
        N.INFO,
        "gauge",
        "1",
        (L.ROLE, L.VERSION),
        "Always 1: which release of which role this process is.",
        "Join with it to see releases side by side during a roll-out.",
    ),
    Metric(
        N.READY,
        "gauge",
        "0 or 1",
        (L.GROUP,),
        "1 when partitions are assigned, tables recovered and the lag known.",
        "0 for minutes: see the log for rebalances; a table of a million rows recovers in about 5 s.",
    ),
    Metric(
        N.RECORDS_CONSUMED,
        "counter",
        "records",
        (L.ROLE, L.LANE),
        "Records that a stage was given.",
        "No growth while the lag grows: the stage hangs, see pushcast_oldest_unfinished_seconds.",
    ),
    Metric(
        N.LAG,
        "gauge",
        "records",
        (L.GROUP, L.TOPIC),
        "Records between what is committable and the end of the log.",
        "Alert on growth over minutes, not on a value. Start more processes of the role, at most one per partition.",
    ),
    Metric(
        N.OLDEST_UNFINISHED,
        "gauge",
        "seconds",
        (L.GROUP, L.TOPIC),
        "Age of the oldest record that was fetched and is not done, by its Kafka timestamp; 0 when all is done.",
        "The alert for lateness: compare with the class's ttl and window. One partition is enough to raise it.",
    ),
    Metric(
        N.UNFINISHED_RECORDS,
        "gauge",
        "records",
        (L.GROUP, L.TOPIC),
        "Records fetched and not done.",
        "At its bound the partition pauses: that is back-pressure, look at what comes after the stage.",
    ),
    Metric(
        N.UNFINISHED_BYTES,
        "gauge",
        "bytes",
        (L.GROUP, L.TOPIC),
        "Approximate memory of the records not done.",
        "As for pushcast_unfinished_records.",
    ),
    Metric(
        N.UNFINISHED_TARGETS,
        "gauge",
        "targets",
        (L.GROUP, L.TOPIC),
        "Targets in the records not done.",
        "As for pushcast_unfinished_records.",
    ),
    Metric(
        N.PARTITIONS,
        "gauge",
        "partitions",
        (L.GROUP, L.TOPIC),
        "Partitions that this process owns.",
        "The sum over all processes must be kafka.partitions for each topic; less: a process is missing.",
    ),
    Metric(
        N.PARTITIONS_PAUSED,
        "gauge",
        "partitions",
        (L.GROUP, L.TOPIC),
        "Owned partitions that are at a bound.",
        "Paused all the time: the stage after it is the bottleneck.",
    ),
    Metric(
        N.HEARTBEAT_AGE,
        "gauge",
        "seconds",
        (L.GROUP,),
        "Since the group coordinator last called this member alive.",
        "Near kafka.session_timeout_seconds senders stop sending; the broker or the network is away.",
    ),
    Metric(
        N.OUTBOX_RECORDS,
        "gauge",
        "records",
        (),
        "Records produced and not acknowledged by Kafka.",
        "High and constant: the cluster is slow or away; stages wait, nothing is lost.",
    ),
    Metric(
        N.TABLE_ROWS,
        "gauge",
        "rows",
        (L.GROUP,),
        "Rows in the owned partitions of the devices table, as RocksDB estimates them.",
        "Watch its growth for disk; a drop to 0 after a restart is a rebuild.",
    ),
    Metric(
        N.DEAD_LETTERS,
        "counter",
        "records",
        (L.ROLE, L.LANE, L.REASON),
        "Records written to a dead-letter topic.",
        "Read the headers of the dead letters: reason and message say which field is wrong and whose producer it was.",
    ),
    Metric(
        N.DEAD_LETTERS_LOST,
        "counter",
        "records",
        (L.ROLE, L.LANE, L.REASON),
        "Records that not even the dead-letter topic took. Their place is in the log.",
        "Any is an alert: compare max.message.bytes with `pushcast topology plan`.",
    ),
    Metric(
        N.FORWARDED,
        "counter",
        "records",
        (L.ROLE, L.LANE),
        "Records that came on another partition than their key's and were moved there.",
        "A producer has another partitioner: set it to murmur2 (librdkafka: partitioner=murmur2_random).",
    ),
    Metric(
        N.DEVICE_CHANGES,
        "counter",
        "changes",
        (L.OPERATION, L.RESULT),
        "Device changes and what became of them.",
        "Many that change nothing: apps register at every start; harmless, but `refresh` is cheaper.",
    ),
    Metric(
        N.SUSPENSIONS,
        "counter",
        "devices",
        (L.RESULT,),
        "Devices that a verdict suspended, and how it ended: `removed` after the hold, `lifted` in doubt.",
        "Suspended far above the other two together: they wait for their hold. Many lifted: a breaker opened.",
    ),
    Metric(
        N.HOLDS_OVER,
        "counter",
        "holds",
        (L.REASON,),
        "Holds at whose end there was nothing to do: `active` again, `unknown`, `other_token`, another's `suspended`.",
        "`active`, many: apps register anew what providers call dead; look at their clocks and tokens.",
    ),
    Metric(
        N.VOID_ROWS,
        "counter",
        "rows",
        (L.RESULT,),
        "Rows that a registrar wrote after another had taken its partition over: `found`, and `healed` (overwritten).",
        "Many: processes are stopped for longer than their session timeout. Found and not healed: look at the log.",
    ),
    Metric(
        N.REGISTER_CLAIMS,
        "counter",
        "partitions",
        (),
        "Partitions that this registrar has taken over.",
        "Steadily rising: the group is never at rest, and holds begin anew each time.",
    ),
    Metric(
        N.DEVICES_REMOVED,
        "counter",
        "devices",
        (L.REASON,),
        "Devices removed because a provider called them dead.",
        "A jump for one app: wrong credentials or environment; stop the sender of that app and look.",
    ),
    Metric(
        N.TOKENS_KEPT,
        "counter",
        "tokens",
        (L.REASON,),
        "Verdicts against a token that REGISTER did not follow.",
        "Normal in small numbers: the device had registered again meanwhile.",
    ),
    Metric(
        N.ROWS_UNREADABLE,
        "counter",
        "rows",
        (L.REASON,),
        "Device rows that this release cannot read.",
        "A newer release wrote them, or another program did: upgrade, or find the writer.",
    ),
    Metric(
        N.BATCHES,
        "counter",
        "batches",
        (L.PLATFORM, L.LANE),
        "Multicast batches written for senders.",
        "Planned targets over batches is the mean batch; near 1 under load: windows are too short.",
    ),
    Metric(
        N.TARGETS,
        "counter",
        "targets",
        (L.PLATFORM, L.LANE),
        "Deliveries planned.",
        "Must be met by pushcast_outcomes_total in the long run; `pushcast audit` tells exactly.",
    ),
    Metric(
        N.BATCH_TARGETS,
        "histogram",
        "targets",
        (L.PLATFORM, L.LANE),
        "Targets per multicast batch.",
        "As for pushcast_batches_total.",
        _TARGETS,
    ),
    Metric(
        N.NOT_PLANNED,
        "counter",
        "notifications",
        (L.LANE, L.REASON),
        "Notifications that were planned to nothing.",
        "Many no_devices: producers notify users who never registered, or REGISTER lags. Many expired: PLAN lags.",
    ),
    Metric(
        N.OUTCOMES,
        "counter",
        "deliveries",
        (L.APP, L.PLATFORM, L.LANE, L.OUTCOME, L.REASON),
        "Deliveries that ended, receipts acknowledged or on their way.",
        "Alert on the share of other outcomes than accepted per app; docs/providers.md explains the reasons.",
    ),
    Metric(
        N.TRIES_AGAIN,
        "counter",
        "attempts",
        (L.APP, L.PLATFORM, L.LANE, L.DISPOSITION),
        "Attempts that were followed by another. `unknown` ones may have reached the device.",
        "A steady share: the provider is overloaded or the network loses connections.",
    ),
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
    Metric(
        N.DROPPED,
        "counter",
        "targets",
        (L.PLATFORM, L.LANE),
        "Targets given back unfinished when a partition moved; its next owner sends them.",
        "Grows at rebalances only. Otherwise the quiesce bound is too short for the provider's deadline.",
    ),
    Metric(
        N.SEND_VOID,
        "counter",
        "records",
        (L.PLATFORM, L.LANE),
        "Send batches of planners that had been fenced off: skipped, their successors planned them again.",
        "A few after a planner was stopped or cut off. Steadily: two planners believe that they own a partition.",
    ),
    Metric(
        N.SKIPPED,
        "counter",
        "targets",
        (L.PLATFORM, L.LANE),
        "Targets that a predecessor had brought to an end before its commit: found in the ledger, not sent again.",
        "Grows after a sender was killed or lost its partitions; that is the ledger at work.",
    ),
    Metric(
        N.PARKED,
        "counter",
        "targets",
        (L.APP, L.PLATFORM, L.LANE, L.REASON),
        "Targets kept aside in push.parked.v1: `paused`, `breaker` (its provider is broken) or `budget` (it is slow).",
        "breaker: see pushcast_breaker_open and the log. budget: the app's provider answers slowly; see its latency.",
    ),
    Metric(
        N.BREAKER_OPEN,
        "gauge",
        "0 or 1",
        (L.APP, L.PLATFORM),
        "1 while this process lets nothing but probes out to an app's provider.",
        "Alert on 1 for minutes. pushcast_breakers_opened_total has the reason: a refused key needs an operator.",
    ),
    Metric(
        N.BREAKERS_OPENED,
        "counter",
        "openings",
        (L.APP, L.PLATFORM, L.REASON),
        "Times that this process found an app's provider broken.",
        "Growing while the provider is well: its failures come in bursts; see send.breaker in the configuration.",
    ),
    Metric(
        N.PAUSED,
        "gauge",
        "0 or 1",
        (L.APP, L.PLATFORM, L.LANE),
        "1 for what an operator has paused, as this process knows it.",
        "`pushcast pause --list` says who and why. Work of it waits in push.parked.v1, and expires there.",
    ),
    Metric(
        N.CONTROL_IGNORED,
        "counter",
        "records",
        (L.REASON,),
        "Records of the control topic that this process could not read.",
        "Somebody writes there by hand, or a newer release does: upgrade this process, or find the writer.",
    ),
    Metric(
        N.TAKEOVERS,
        "counter",
        "partitions",
        (L.ROLE, L.LANE),
        "Source partitions that were taken over, their predecessors' outputs having been read.",
        "Grows at rebalances. All the time: members come and go, see the log of the group.",
    ),
    Metric(
        N.TAIL_RECORDS,
        "counter",
        "records",
        (L.ROLE, L.LANE),
        "Records of predecessors that were found in the outputs at a takeover: they are not done again.",
        "Much more than a commit interval's work each time: commits fail, see the log.",
    ),
    Metric(
        N.TAIL_VOID,
        "counter",
        "records",
        (L.ROLE, L.LANE),
        "Records of fenced-off predecessors that were found at a takeover and do not count.",
        "A few after a process was cut off from Kafka.",
    ),
    Metric(
        N.IN_FLIGHT,
        "gauge",
        "deliveries",
        (L.APP, L.PLATFORM),
        "Deliveries at the provider or not yet acknowledged.",
        "This many can reach a device twice if the process is killed now.",
    ),
    Metric(
        N.IN_FLIGHT_LIMIT,
        "gauge",
        "deliveries",
        (),
        "What pushcast_in_flight_deliveries may sum up to.",
        "At the limit with idle CPU the provider's latency limits: raise send.max_in_flight, or start more senders.",
    ),
    Metric(
        N.PROVIDER_SECONDS,
        "histogram",
        "seconds",
        (L.APP, L.PLATFORM),
        "From sending a request to its answer.",
        "A rise for one app alone: its project or region. For all: the network.",
        _REQUEST_SECONDS,
    ),
    Metric(
        N.PROVIDER_CONNECTIONS,
        "gauge",
        "connections",
        (L.APP, L.PLATFORM),
        "Open connections to the provider.",
        "0 while deliveries wait: see pushcast_provider_connections_ended_total and the log.",
    ),
    Metric(
        N.PROVIDER_CONNECTIONS_ENDED,
        "counter",
        "connections",
        (L.APP, L.PLATFORM, L.REASON),
        "Connections that are no more.",
        "Rotation is normal; refused or reset ones in numbers are the network's or the provider's.",
    ),
    Metric(
        N.LOOP_DELAY,
        "gauge",
        "seconds",
        (),
        "Longest that the event loop was late since the last scrape.",
        "Above 0.1: something blocks the loop, or the CPU is taken; urgent lanes suffer first.",
    ),
    Metric(
        N.LOG_LINES_SUPPRESSED,
        "counter",
        "lines",
        (),
        "Repeated lines of Kafka clients kept out of the log.",
        "Grows while a broker is away.",
    ),
    Metric(
        N.LABELS_REFUSED,
        "counter",
        "values",
        (L.KIND,),
        "Values seen at scrapes that are not in the vocabulary, by label: they count as `other`. `counter`: no metric.",
        "A word is missing in the code's vocabulary: report it.",
    ),
)

BY_NAME: Final = {metric.name: metric for metric in CATALOGUE}


def render_docs() -> str:
    """docs/metrics.md."""
    lines = [
        "# Metrics",
        "",
        "Generated by `python -m pushcast.observe.catalogue` from `app/pushcast/observe/catalogue.py`; do not edit.",
        "Every role serves them at `/metrics` on its private port. Counters grow from 0 at each start of a process.",
        "",
        "| name | kind | unit | labels |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| [`{metric.name}`](#{metric.name}) | {metric.kind} | {metric.unit} | {', '.join(metric.labels) or 'none'} |"
        for metric in CATALOGUE
    ]
    for metric in CATALOGUE:
        lines += ["", f"### {metric.name}", "", metric.meaning, "", f"What to do: {metric.remedy}"]
        if metric.buckets:
            lines += ["", f"Buckets: {', '.join(f'{bound:g}' for bound in metric.buckets)} {metric.unit}."]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    import sys

    sys.stdout.write(render_docs())
