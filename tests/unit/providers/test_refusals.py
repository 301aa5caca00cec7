"""Who sends what is too large finds size and limit in the log, once a minute for each reason."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from pushcast.model.clock import ManualClock
from pushcast.providers.extras import too_large
from pushcast.providers.port import Disposition, Result
from pushcast.providers.refusals import MAX_TOLD_CHARS, QUIET_SECONDS, MessageRefusals
from pushcast.providers.unsendable import Unsendable
from unit.providers.messages import message

LARGE = too_large("Expo payload", 5000, 4096)
MESSAGE = message([b"a", b"b", b"c"])


def told(refusals: MessageRefusals, *refused: Unsendable) -> list[Any]:
    with capture_logs() as lines:
        for each in refused:
            refusals.results(each, MESSAGE, [0, 2])
    return lines


def test_each_target_is_rejected_with_the_reason() -> None:
    results = MessageRefusals(ManualClock()).results(LARGE, MESSAGE, [0, 2])
    assert results == [Result(index, Disposition.REJECTED, "payload_too_large") for index in (0, 2)]


def test_size_and_limit_are_told_with_the_notification() -> None:
    [line] = told(MessageRefusals(ManualClock()), LARGE)
    assert line == {
        "event": "message_refused",
        "log_level": "warning",
        "app": "news",
        "notification": "n-1",
        "reason": "payload_too_large",
        "field": "body",
        "problem": "Expo payload is 5000 bytes, at most 4096",
        "targets": 2,
        "untold_targets": 0,
    }


def test_a_reason_is_told_once_a_minute_and_another_reason_at_once() -> None:
    clock = ManualClock()
    refusals = MessageRefusals(clock)
    other = Unsendable("push_type_unsupported", "no", "push_type")
    assert [line["reason"] for line in told(refusals, LARGE, LARGE, other, LARGE)] == [LARGE.reason, other.reason]
    clock.advance(QUIET_SECONDS)
    [line] = told(refusals, LARGE)
    assert line["untold_targets"] == 4


def test_nothing_is_told_of_nobody_nor_of_what_a_browser_has_no_place_for() -> None:
    refusals = MessageRefusals(ManualClock())
    assert told(refusals, Unsendable("nothing_to_show", "no badge", "title")) == []
    with capture_logs() as lines:
        assert refusals.results(LARGE, MESSAGE, []) == []
    assert lines == []


@pytest.mark.parametrize("field", ["data." + "x" * 10_000, None])
def test_a_long_key_is_cut(field: str | None) -> None:
    [line] = told(MessageRefusals(ManualClock()), Unsendable("reserved_data_key", "x" * 10_000, field))
    assert len(line["problem"]) == MAX_TOLD_CHARS
    assert line["field"] is None or len(line["field"]) == MAX_TOLD_CHARS
