"""However a client of Kafka copies records, and whoever reads them: each is handled at one place of the log."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushcast.handover.copies import Copies
from pushcast.handover.looking_back import LOOKED_BACK_RECORDS
from pushcast.wire import headers as h

#: (number of the author, what it wrote).
Written = tuple[int, int]


@st.composite
def logs(draw: st.DrawFn) -> list[Written]:
    """What two authors wrote, each in its order. Now and then one of them writes its last records again, as a client
    does that takes new numbers: all of them, in their order, while the other one goes on."""
    log: list[Written] = []
    for _ in range(draw(st.integers(1, 12))):
        author = draw(st.integers(0, 1))
        begun = sum(1 for by, _ in log if by == author)
        log += [(author, begun + more) for more in range(draw(st.integers(1, 8)))]
        if draw(st.booleans()):
            mine = [at for at, (by, _) in enumerate(log) if by == author]
            again = log[mine[-min(len(mine), draw(st.integers(1, 20)))] :]
            log += [each for each in again if each[0] == author]
    return log


class Reader:
    """Reads the log from its commits on; what it has begun is done, and known to whoever comes next."""

    def __init__(self, log: Sequence[Written], *, copies: bool, looks_back: bool) -> None:
        self._log = log
        self._knows = copies
        self._looks_back = looks_back
        self._committed = 0
        self._done: set[int] = set()  # offsets; a sender has its ledger for that
        self.handled: dict[Written, set[int]] = {}
        self.take_over()

    def take_over(self) -> None:
        """Another process, from the committed offset on."""
        self._copies = Copies()
        self._next = self._committed
        if self._looks_back:
            for offset in range(max(0, self._committed - LOOKED_BACK_RECORDS), self._committed):
                self._is_copy(offset)

    def commit(self) -> None:
        self._committed = self._next

    def read(self, records: int) -> None:
        for offset in range(self._next, min(len(self._log), self._next + records)):
            if not (self._is_copy(offset) and self._knows) and offset not in self._done:
                self._done.add(offset)
                self.handled.setdefault(self._log[offset], set()).add(offset)
            self._next = offset + 1

    def _is_copy(self, offset: int) -> bool:
        author, number = self._log[offset]
        return self._copies.is_copy(h.origin("plan-urgent", author, 7), b"%d" % number, offset)


Steps = Sequence[tuple[int, bool, bool]]  # records to read, whether to commit, whether another takes over
steps = st.lists(st.tuples(st.integers(0, 15), st.booleans(), st.booleans()), max_size=20)


def handled(log: Sequence[Written], turns: Steps, *, copies: bool = True, looks_back: bool = True) -> list[set[int]]:
    """At which offsets each record was handled."""
    reader = Reader(log, copies=copies, looks_back=looks_back)
    for records, commits, ends in turns:
        reader.read(records)
        if commits:
            reader.commit()
        if ends:
            reader.take_over()
    reader.read(len(log))
    assert set(reader.handled) == set(log)
    return list(reader.handled.values())


@given(logs(), steps)
def test_each_record_is_handled_at_one_offset(log: list[Written], turns: Steps) -> None:
    assert all(len(offsets) == 1 for offsets in handled(log, turns))


@pytest.mark.parametrize(("copies", "looks_back"), [(False, True), (True, False)])
def test_without_either_rule_one_is_handled_twice(copies: bool, looks_back: bool) -> None:
    log = [(0, 0), (0, 1), (0, 1)]
    turns = [(2, True, True)]
    assert max(map(len, handled(log, turns, copies=copies, looks_back=looks_back))) == 2
    assert max(map(len, handled(log, turns))) == 1
