from __future__ import annotations

import json
from typing import Any

import pytest

from pushcast.model.errors import InvalidInput
from pushcast.wire.control.cancel_state import CancelRecord, CancelState
from pushcast.wire.control.control import CampaignCancel, Kind, Name, encode
from pushcast.wire.control.control_state import ControlState
from pushcast.wire.events.cancels import LONGEST_MS, MAX_IDS, Cancel, CancelDecoder, encode_cancel

T0 = 1_800_000_000_000
decode = CancelDecoder().decode


def cancel(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def test_json_and_avro_say_the_same() -> None:
    from_json = decode("u", cancel(ids=["a", "b"], app="news", thread="t", remove=True, reason="off", at=T0 - 5), T0)
    assert from_json == Cancel("u", ("a", "b"), "news", "t", True, "off", T0 - 5, T0 + LONGEST_MS)
    assert decode("u", encode_cancel(from_json), T0) == from_json


@pytest.mark.parametrize(
    ("fields", "reason", "field"),
    [
        ({}, "invalid_field", "ids"),
        ({"ids": []}, "invalid_field", "ids"),
        ({"ids": [""]}, "invalid_field", "ids"),
        ({"ids": ["a" * 257]}, "invalid_field", "ids"),
        ({"ids": ["a\0b"]}, "invalid_field", "ids"),
        ({"ids": [str(number) for number in range(MAX_IDS + 1)]}, "too_many", "ids"),
        ({"ids": [7]}, "invalid_field", "ids[0]"),
        ({"thread": "t"}, "invalid_field", "app"),
        ({"ids": ["a"], "user": "v"}, "invalid_field", "user"),
        ({"ids": ["a"], "reason": "x" * 501}, "invalid_field", "reason"),
        ({"ids": ["a"], "at": "2026-12-24T18:00:00"}, "invalid_field", "at"),
        ({"ids": ["a"], "at": 1_800_000_000}, "invalid_field", "at"),
        ({"ids": ["a"], "until": T0 + LONGEST_MS + 1}, "invalid_field", "until"),
        ({"ids": ["a"], "until": T0}, "invalid_field", "until"),
        ({"id": "a"}, "unknown_field", "id"),
    ],
)
def test_what_is_wrong_is_named_with_its_field(fields: dict[str, Any], reason: str, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        decode("u", cancel(**fields), T0)
    assert (refused.value.reason, refused.value.field) == (reason, field)


@pytest.mark.parametrize(("value", "reason"), [(None, "tombstone"), (b"{", "not_json"), (b"\x07", "unknown_frame")])
def test_what_is_no_cancel_is_refused(value: bytes | None, reason: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        decode("u", value, T0)
    assert refused.value.reason == reason


def test_a_clock_that_runs_ahead_cancels_nothing_that_is_yet_to_be_created() -> None:
    assert decode("u", cancel(app="news", thread="t", at=T0 + 60_000, ids=["a"]), T0).at == T0


def state(*records: tuple[str, bytes]) -> CancelState:
    found = CancelState()
    found.begin(3)
    found.apply(3, [CancelRecord(user.encode(), value, T0) for user, value in records], T0)
    return found


def is_cancelled(found: CancelState, user: str = "u", note_id: str = "n", **other: Any) -> bool:
    facts: dict[str, Any] = {"app": "news", "thread": None, "created_at_ms": T0 - 1, "now_ms": T0} | other
    return found.cancelled(3, user, note_id, **facts)


def test_an_id_is_cancelled_for_its_user_and_nobody_else() -> None:
    found = state(("u", cancel(ids=["n"])))
    assert is_cancelled(found)
    assert not is_cancelled(found, user="v")
    assert not is_cancelled(found, note_id="m")
    assert not found.cancelled(4, "u", "n", app=None, thread=None, created_at_ms=T0, now_ms=T0)


def test_a_thread_is_cancelled_within_its_app_for_what_was_created_until_then() -> None:
    found = state(("u", cancel(app="news", thread="t")))
    assert is_cancelled(found, thread="t")
    assert is_cancelled(found, thread="t", created_at_ms=T0)
    assert not is_cancelled(found, thread="t", created_at_ms=T0 + 1)
    assert not is_cancelled(found, thread="t", app="chat")
    assert not is_cancelled(found, thread="t", app=None)
    assert not is_cancelled(found, thread=None)


def test_what_is_malformed_is_counted_and_changes_nothing() -> None:
    found = state(("u", b"{"), ("u", cancel(ids=[])), ("", cancel(ids=["n"])), ("u", cancel(ids=["m"])))
    assert found.ignored == {"not_json": 1, "invalid_field": 1, "key_missing": 1}
    assert found.count == 1


def test_who_listens_hears_of_the_users_of_each_lot_once() -> None:
    found, heard = CancelState(), list[tuple[int | None, frozenset[str]]]()
    found.begin(3)
    found.subscribe(lambda partition, users: heard.append((partition, users)))
    found.apply(3, [CancelRecord(b"u", cancel(ids=["a"]), T0), CancelRecord(b"v", cancel(ids=["b"]), T0)], T0)
    found.apply(3, [CancelRecord(b"u", b"{", T0)], T0)
    assert heard == [(3, frozenset({"u", "v"}))]


def test_a_campaign_is_cancelled_for_what_was_created_within_its_bounds() -> None:
    found, control, heard = CancelState(), ControlState(), list[tuple[int | None, frozenset[str]]]()
    found.follow_campaigns(control)
    found.subscribe(lambda partition, users: heard.append((partition, users)))
    key = Name(Kind.CANCEL, "xmas/26").key()
    assert key == b"cancel/xmas/26"
    control.apply(key, encode(CampaignCancel(since_ms=T0 - 10, until_ms=T0)))
    assert heard == [(None, frozenset())]
    assert found.any(3)
    for created_at_ms, cancelled in ((T0 - 11, False), (T0 - 10, True), (T0 - 1, True), (T0, False)):
        assert is_cancelled(found, campaign="xmas/26", created_at_ms=created_at_ms) is cancelled
    assert not is_cancelled(found, campaign="other")
    assert not is_cancelled(found)
    control.apply(key, None)
    assert not is_cancelled(found, campaign="xmas/26")
    assert not found.any(3)


def test_a_partition_that_is_read_anew_forgets_what_it_knew() -> None:
    found = state(("u", cancel(ids=["n"])))
    found.begin(3)
    assert not is_cancelled(found)
