from __future__ import annotations

import logging

from pushcast.observe.rate_limit import RateLimitFilter


class Log:
    def __init__(self, max_kinds: int = 500) -> None:
        self.now = 0.0
        self.filter = RateLimitFilter(lines=2, window_seconds=10, max_kinds=max_kinds, clock=lambda: self.now)

    def write(self, message: str, *args: object, name: str = "aiokafka", level: int = logging.ERROR) -> int | None:
        """None when the line is suppressed, else how many were before it."""
        record = logging.LogRecord(name, level, __file__, 1, message, args, None)
        if not self.filter.filter(record):
            return None
        count: int = getattr(record, "suppressed", 0)
        return count


def test_a_kind_of_line_passes_a_few_times_per_window() -> None:
    log = Log()
    assert [log.write("down %s", n) for n in range(4)] == [0, 0, None, None]
    assert log.filter.total == 2


def test_the_next_window_says_how_many_were_suppressed() -> None:
    log = Log()
    for _ in range(7):
        log.write("down")
    log.now = 10.0
    assert [log.write("down"), log.write("down"), log.write("down")] == [5, 0, None]


def test_numbers_in_a_message_do_not_make_it_another_kind() -> None:
    log = Log()
    assert [log.write(f"node {n} unreachable") for n in range(3)] == [0, 0, None]


def test_levels_loggers_and_messages_are_kinds_of_their_own() -> None:
    log = Log()
    for _ in range(3):
        log.write("down")
    assert log.write("down", level=logging.WARNING) == 0
    assert log.write("down", name="aiokafka.consumer") == 0
    assert log.write("up") == 0


def test_other_loggers_and_critical_lines_always_pass() -> None:
    log = Log()
    assert [log.write("x", name="pushcast.send") for _ in range(5)] == [0] * 5
    assert [log.write("x", name="aiokafkaesque") for _ in range(5)] == [0] * 5
    assert [log.write("x", level=logging.CRITICAL) for _ in range(5)] == [0] * 5


def test_at_most_so_many_kinds_are_remembered() -> None:
    log = Log(max_kinds=3)
    for letter in "abcdefgh":
        log.write(letter)
    assert len(log.filter._kinds) == 3
