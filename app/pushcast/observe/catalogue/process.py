"""A process of any role: its release, its event loop, its log."""

from __future__ import annotations

from typing import Final

from pushcast.observe.catalogue.metric import Label, Metric, MetricName

L = Label
N = MetricName

METRICS: Final = (
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
        N.LOOP_DELAY,
        "gauge",
        "seconds",
        (),
        "Longest that the event loop was late within the last minute.",
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
    Metric(
        N.CONFIG_RELOADED,
        "gauge",
        "0 or 1",
        (),
        "0 when the configuration was read again and refused; the settings before it are in force.",
        "The log names every fault, with line and column for broken YAML. `pushcast config check` says the same.",
    ),
    Metric(
        N.CONFIG_READ_AT,
        "gauge",
        "seconds",
        (),
        "When the settings in force were read, in seconds since the epoch.",
        "Older than your last change: the file that the process reads is another one, see PUSHCAST_CONFIG.",
    ),
    Metric(
        N.CONFIG_RESTART_NEEDED,
        "gauge",
        "settings",
        (),
        "Settings that differ in the file and are taken only by a restart.",
        "Restart the processes of the role one after another; `pushcast config diff` names such settings beforehand.",
    ),
)
