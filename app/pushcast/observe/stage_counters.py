"""What a stage counts, as metrics: each stage declares its counters in a file of its own beside its code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum, auto
from typing import Final, NamedTuple

from pushcast.observe.catalogue import MetricName as Name
from pushcast.observe.metrics import Sample


class LabelSlot(Enum):
    """What stands in a label, besides fixed words."""

    ROLE = auto()
    LANE = auto()  # empty for stages of all lanes
    WORD = auto()  # of the counter
    PAIR = auto()  # two labels: the counter's word is `one|two`


ROLE, LANE, WORD, PAIR = LabelSlot


class StageCounter(NamedTuple):
    """Stages count `{(name, word): count}`. `labels` in the order of the catalogue."""

    metric: Name
    labels: tuple[LabelSlot | str, ...] = ()

    def labelled(self, role: str, lane: str, word: str) -> tuple[str, ...]:
        """The labels of one series."""
        one, _, two = word.partition("|")
        values = {ROLE: (role,), LANE: (lane,), WORD: (word,), PAIR: (one, two)}
        return tuple(
            text for each in self.labels for text in (values[each] if isinstance(each, LabelSlot) else (each,))
        )


#: By the name under which the stage counts.
StageCounters = Mapping[str, StageCounter]
#: What reading records and tables counts, in whichever stage.
COMMON: Final[StageCounters] = {
    "copies": StageCounter(Name.COPIES, (ROLE, LANE)),
    "consumed": StageCounter(Name.RECORDS_CONSUMED, (ROLE, LANE)),
    "dead_letters": StageCounter(Name.DEAD_LETTERS, (ROLE, LANE, WORD)),
    "dead_letters_lost": StageCounter(Name.DEAD_LETTERS_LOST, (ROLE, LANE, WORD)),
    "decoder_errors": StageCounter(Name.DECODER_ERRORS, (ROLE, LANE)),
    "forwarded": StageCounter(Name.FORWARDED, (ROLE, LANE)),
    "unreadable_rows": StageCounter(Name.ROWS_UNREADABLE, (WORD,)),
    "void_rows": StageCounter(Name.VOID_ROWS, (WORD,)),
}


def stage(role: str, lane: str, counted: Mapping[tuple[str, str], int], own: StageCounters = {}) -> Iterator[Sample]:  # noqa: B006 - never written
    """Counters of a stage. `lane` is empty for roles without one. A counter without a metric shows as refused."""
    for (name, word), count in counted.items():
        found = own.get(name) or COMMON.get(name)
        if found is None:
            yield Sample(Name.LABELS_REFUSED, count, ("counter",))
        else:
            yield Sample(found.metric, count, found.labelled(role, lane, word))


def takeovers(role: str, lane: str, counters: Mapping[str, int]) -> Iterator[Sample]:
    """What an exact hand-over or a ledger counts. `lane` is empty for roles without one."""
    yield Sample(Name.TAKEOVERS, counters.get("claims", 0) + counters.get("takeovers", 0), (role, lane))
    yield Sample(Name.TAIL_RECORDS, counters.get("tail_records", 0), (role, lane))
    yield Sample(Name.TAIL_VOID, counters.get("tail_void", 0), (role, lane))
    yield Sample(Name.TAIL_UNREADABLE, counters.get("unreadable", 0), (role, lane))
