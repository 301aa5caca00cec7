"""What was called off."""

from __future__ import annotations

from typing import Final

from pushcast.observe.catalogue.metric import Label, Metric, MetricName

L = Label
N = MetricName

METRICS: Final = (
    Metric(
        N.TIMERS_OPENED,
        "counter",
        "notifications",
        (L.LANE,),
        "Notifications that this keeper took to hold.",
        "Less pushcast_timers_closed_total, over all keepers and their restarts: what waits.",
    ),
    Metric(
        N.TIMERS_CLOSED,
        "counter",
        "notifications",
        (L.REASON,),
        "Notifications that this keeper let go: released, cancelled, duplicate, too_many.",
        "too_many: a user has 1,000 that wait; somebody schedules in a loop.",
    ),
    Metric(
        N.TIMERS_VOID,
        "counter",
        "rows",
        (L.RESULT,),
        "Rows of keepers that had lost their partition: found, healed; releases completed at a take-over: completed. "
        "Rows that this release cannot read, so that they wait: unreadable.",
        "Many: processes are stopped for longer than their session timeout. Any unreadable: run the release that wrote "
        "them.",
    ),
    Metric(
        N.TIMER_LATE,
        "gauge",
        "seconds",
        (),
        "The longest that a notification waited beyond its time, since the last look.",
        "Seconds, steadily: more is due than the keepers release. Minutes: no keeper had the partition.",
    ),
    Metric(
        N.CLOCK_DISAGREEMENT,
        "gauge",
        "seconds",
        (),
        "The largest difference between the clocks of this machine and of the brokers of its partitions. Notifications "
        "leave by the brokers'.",
        "Alert above 2: somebody's clock is wrong. When it is a broker's, its partitions let go early or late: set it "
        "right, or hold them back with keep.hold_on_disagreement.",
    ),
    Metric(
        N.TIMERS_REZONED,
        "counter",
        "notifications",
        (),
        "Waiting notifications whose due time was found anew because zones were changed: another version of tzdata.",
        "Many after an upgrade are as it should be. At each start: keepers have different versions of tzdata.",
    ),
    Metric(
        N.TIMERS_DUE_MINUTE,
        "gauge",
        "notifications",
        (),
        "What this keeper releases until the end of the next minute, overdue ones included; counted twice a minute.",
        "The load that comes now. Look at pushcast_timer_late_seconds when it does not fall.",
    ),
    Metric(
        N.TIMERS_DUE_HOUR,
        "gauge",
        "notifications",
        (),
        "What this keeper releases within an hour, overdue ones included.",
        "`pushcast status` has the sum of all keepers, by hour.",
    ),
    Metric(
        N.TIMERS_DUE_DAY,
        "gauge",
        "notifications",
        (),
        "What this keeper releases within a day, overdue ones included; at most 2,000,000 a partition are counted.",
        "Plan with it: `pushcast status` has it by hour.",
    ),
    Metric(
        N.TIMERS_PEAK,
        "gauge",
        "notifications",
        (),
        "The most that is due in one minute of the next hour.",
        "What of its sum over keepers is above what a provider takes in a minute (FCM: 600,000 a project) leaves late, "
        "and expires when its time to live is shorter than that: spread it (spread_seconds).",
    ),
    Metric(
        N.TIMERS_TO_EXPIRE,
        "gauge",
        "notifications",
        (L.KIND,),
        "About how many wait with this keeper that expire before they may leave. rate: the rate that they keep to is "
        "too slow; provider: more is due in the fullest minute of the next hour than FCM takes while it lives.",
        "Alert above 0; the log names the rate or the app. rate: `pushcast pace`, or a longer time to live. provider: "
        "spread it (spread_seconds), or a rate.",
    ),
    Metric(
        N.BADGES,
        "counter",
        "badges",
        (L.RESULT,),
        "Numbers on icons: counted for a notification, put_right by a push of their own, settled without one; failed: "
        "the notification reached no device and counts no more.",
        "Many put_right: users read elsewhere. They cost a push each, at most keep.badges_per_hour for a user and app.",
    ),
    Metric(
        N.DIGESTS,
        "counter",
        "pushes",
        (),
        "Digests of two or more that this keeper let go.",
        "Compare with pushcast_timers_closed_total of reason digested: so many notifications are in one push.",
    ),
    Metric(
        N.DIGESTS_ASKED,
        "counter",
        "digests",
        (),
        "Digests that left before their time because an app asked for them.",
        "Many: an app asks whenever it is opened. What it shows itself need not be gathered.",
    ),
    Metric(
        N.CAPS_REACHED,
        "counter",
        "notifications",
        (L.CAP,),
        "Notifications that found no slot of a cap free, by the cap; one that waits is counted each time it asks.",
        "Most of what is asked for: the limit is too low, or producers send too much. `pushcast why` names one.",
    ),
    Metric(
        N.SLOTS_GIVEN_BACK,
        "counter",
        "slots",
        (),
        "Slots of caps that came back because nothing of their notification was accepted.",
        "A large share of what leaves: look at the receipts that are not accepted.",
    ),
    Metric(
        N.SLOTS_UNCONFIRMED,
        "counter",
        "slots",
        (),
        "Slots of caps that are kept because nobody said within ten minutes after the expiry what became of their "
        "notification; counted when the user's slots are written next.",
        "Some after an outage of senders or settlers. Steadily: they do not write to push.counted.v1.",
    ),
    Metric(
        N.REMOVAL_PUSHES,
        "counter",
        "cancels",
        (L.RESULT,),
        "Cancels with remove, by what they did: opened a push that takes back what is shown, or merged into one.",
        "Compare with the receipts of class remove. Few opened and many merged: what is taken back comes in bursts.",
    ),
    Metric(
        N.CANCELS,
        "gauge",
        "ids and threads",
        (),
        "Cancels that this process remembers, of the partitions that it follows.",
        "Near 200,000 a partition the oldest are forgotten: cancel campaigns as a whole, or threads, instead of ids.",
    ),
    Metric(
        N.CANCELS_FORGOTTEN,
        "counter",
        "ids and threads",
        (),
        "Cancels that this process let go because a partition had too many.",
        "Alert on any: what they named may leave.",
    ),
    Metric(
        N.CANCELS_IGNORED,
        "counter",
        "records",
        (L.REASON,),
        "Records of push.cancel.v1 that this process could not read; the keeper writes their dead letters.",
        "Look into push.cancel.v1.dlq: somebody believes that something was cancelled.",
    ),
)
