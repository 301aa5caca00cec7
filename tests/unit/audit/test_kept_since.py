"""Since when topics are whole: what is older may have been there."""

from __future__ import annotations

from pushcast.audit.kept_since import FirstRecords, shown_kept_since
from pushcast.wire.topics import DEVICE, DEVICE_CHANGED, TOKEN_HOLD, TOKEN_INVALID


def test_a_topic_is_whole_until_retention_has_taken_its_beginning() -> None:
    ends = {(DEVICE_CHANGED, 0): 5, (DEVICE_CHANGED, 1): 9, (TOKEN_INVALID, 0): 3, (TOKEN_HOLD, 0): 0, (DEVICE, 0): 9}
    firsts = FirstRecords()
    for topic, partition, offset, at_ms in (
        (DEVICE_CHANGED, 0, 2, 200),
        (DEVICE_CHANGED, 1, 4, 400),
        (DEVICE_CHANGED, 1, 5, 500),
        (TOKEN_INVALID, 0, 0, 7),
        (DEVICE, 0, 6, 1),
    ):
        firsts.saw((topic, partition), offset, at_ms)
    kept = firsts.kept_since(ends, 1000, {DEVICE})
    assert kept == {DEVICE_CHANGED: 400, TOKEN_INVALID: None, TOKEN_HOLD: None, DEVICE: None}
    assert shown_kept_since(kept)[DEVICE_CHANGED] == "1970-01-01T00:00:00.400Z"


def test_a_topic_whose_records_are_all_gone_is_whole_from_now_on() -> None:
    assert FirstRecords().kept_since({(TOKEN_HOLD, 0): 3}, 1000) == {TOKEN_HOLD: 1000}
