"""What a reporter's metrics say of the books that it follows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from pushcast.observe.catalogue import MetricName
from pushcast.observe.metrics import Sample
from pushcast.report.apply import BOOKS
from pushcast.report.follow import Follower


def of(follower: Follower, now_ms: int) -> Iterator[Sample]:
    """How far it is behind, as of when it is, how many rows it has, and what it could not read."""
    behind = dict.fromkeys(BOOKS, 0)
    for (topic, _), count in follower.behind().items():
        behind[topic] += count
    for topic, count in behind.items():
        yield Sample(MetricName.REPORT_BEHIND, count, (topic,))
    for partition in sorted(follower.stores):
        if (as_of := follower.as_of(partition)) is not None:
            yield Sample(MetricName.REPORT_AS_OF, max(0, now_ms - as_of) / 1000, (str(partition),))
    overdue = sum(follower.overdue.values(), Counter({"": 0}))
    for klass in sorted({"", *overdue}):
        yield Sample(MetricName.REPORT_OVERDUE, overdue[klass], (klass,))
    yield Sample(MetricName.REPORT_ROWS, follower.row_count())
    for place, count in follower.unreadable().items():
        yield Sample(MetricName.REPORT_UNREADABLE, count, place)
