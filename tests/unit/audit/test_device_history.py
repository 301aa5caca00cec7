"""From when on the topics have a device's history."""

from __future__ import annotations

from pushcast.audit.device_history import kept_since
from pushcast.register.names import Topics
from pushcast.wire.topics import DEVICE, DEVICE_CHANGED, TOKEN_CLAIM, TOKEN_EVICT, TOKEN_HOLD, TOKEN_INVALID


def test_a_topic_is_whole_until_retention_has_taken_its_beginning() -> None:
    ends = {(DEVICE_CHANGED, 0): 5, (DEVICE_CHANGED, 1): 9, (TOKEN_INVALID, 0): 3, (TOKEN_HOLD, 0): 0, (DEVICE, 0): 9}
    begins = {
        (DEVICE_CHANGED, 0): (2, 200),
        (DEVICE_CHANGED, 1): (4, 400),
        (TOKEN_INVALID, 0): (0, 7),
        (DEVICE, 0): (6, 1),
    }
    assert kept_since(ends, begins, 1000, Topics()) == {
        DEVICE_CHANGED: 400,
        TOKEN_INVALID: None,
        TOKEN_HOLD: None,
        TOKEN_CLAIM: None,
        TOKEN_EVICT: None,
        DEVICE: None,
    }


def test_a_topic_whose_records_are_all_gone_is_whole_from_now_on() -> None:
    assert kept_since({(TOKEN_HOLD, 0): 3}, {}, 1000, Topics())[TOKEN_HOLD] == 1000
