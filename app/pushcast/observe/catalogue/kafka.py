"""What a stage consumes and has not finished, what Kafka has not acknowledged, dead letters, take-overs."""

from __future__ import annotations

from typing import Final

from pushcast.observe.catalogue.metric import Label, Metric, MetricName

L = Label
N = MetricName

METRICS: Final = (
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
        N.DECODER_ERRORS,
        "counter",
        "records",
        (L.ROLE, L.LANE),
        "Records on which a decoder failed in a way that it should not. They are dead letters (undecodable).",
        "Any is a defect of Pushcast: report it with the traceback in the log and the dead letter.",
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
)
