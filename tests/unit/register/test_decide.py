"""Pure decisions about one row."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pushcast.model.device import AddressKind, DeviceChange, DeviceRow, Operation, Purpose
from pushcast.model.ids import token_hash
from pushcast.model.words import Platform
from pushcast.register.decide import removal, upsert
from pushcast.register.kept import Kept
from pushcast.register.verdicts import Ending, ending, lifted, suspension
from pushcast.wire.answers.receipts import TokenInvalid

T = 1_800_000_000_000


def change(op: Operation = Operation.REGISTER, address: bytes = b"ab12", **fields: Any) -> DeviceChange:
    return DeviceChange(op, "u", "news", "d", Platform.APNS, AddressKind.TOKEN, address, T, **fields)


def registered(at: int, **fields: Any) -> DeviceRow:
    row = upsert(change(**fields), at, None)
    assert isinstance(row, DeviceRow)
    return row


def verdict(**fields: Any) -> TokenInvalid:
    event = TokenInvalid(
        "u", "news", "d", "apns", token_hash(b"ab12"), "device_unregistered", 410, None, T + 50, T + 60, "0" * 32
    )
    return event._replace(**fields)


def test_a_first_registration_becomes_an_active_row_with_the_hash_of_its_token() -> None:
    row = registered(T, locale="de-DE", topics=("team/arsenal",))
    assert row == DeviceRow(
        "news", "d", "apns", "token", b"ab12", "", token_hash(b"ab12"), "active", T, T, "de-DE", None, None,
        ("team/arsenal",), topics_at=T,
    )  # fmt: skip


def test_the_same_event_again_changes_nothing() -> None:
    row = registered(T, topics=("a",), locale="de")
    assert upsert(change(topics=("a",), locale="de"), T, row) is Kept.UNCHANGED


def test_an_older_event_does_not_overwrite_a_newer_row() -> None:
    assert upsert(change(address=b"cd34"), T - 1, registered(T)) is Kept.OUTDATED


def test_of_two_events_at_one_time_the_later_one_wins() -> None:
    row = upsert(change(address=b"cd34"), T, registered(T))
    assert isinstance(row, DeviceRow)
    assert row.address == b"cd34"


def test_registering_the_same_token_again_moves_the_time_even_by_a_millisecond() -> None:
    row = upsert(change(), T + 1, registered(T))
    assert isinstance(row, DeviceRow)
    assert (row.registered_at, row.seen_at) == (T + 1, T + 1)


@pytest.mark.parametrize("op", [Operation.REGISTER, Operation.REFRESH])
def test_absent_topics_keep_the_topics_and_empty_ones_remove_them(op: Operation) -> None:
    row = registered(T, topics=("a", "b"))
    kept = upsert(change(op), T + 1, row)
    emptied = upsert(change(op, topics=()), T + 1, row)
    assert isinstance(kept, DeviceRow)
    assert isinstance(emptied, DeviceRow)
    assert (kept.topics, emptied.topics) == (("a", "b"), ())


def test_absent_tags_keep_the_tags_and_empty_ones_remove_them() -> None:
    row = registered(T, tags={"plan": "pro"})
    kept, emptied = upsert(change(), T + 1, row), upsert(change(tags={}), T + 1, row)
    assert isinstance(kept, DeviceRow)
    assert isinstance(emptied, DeviceRow)
    assert (kept.tags, emptied.tags) == ({"plan": "pro"}, {})


def test_a_purpose_is_kept_by_a_refresh_and_replaced_by_a_register() -> None:
    row = registered(T, purpose=Purpose.VOIP)
    refreshed, anew = upsert(change(Operation.REFRESH), T + 1, row), upsert(change(), T + 1, row)
    assert isinstance(refreshed, DeviceRow)
    assert isinstance(anew, DeviceRow)
    assert (row.purpose, refreshed.purpose, anew.purpose) == ("voip", "voip", None)


def test_what_no_registration_says_is_kept() -> None:
    unsaid: dict[str, Any] = {
        "first_at": 1,
        "zone_before": "Asia/Tokyo",
        "token_hash_before": b"h",
    }
    row = upsert(change(), T + 1, msgspec.structs.replace(registered(T), **unsaid))
    assert isinstance(row, DeviceRow)
    assert {name: getattr(row, name) for name in unsaid} == unsaid


def test_a_refresh_keeps_what_it_does_not_say_and_a_register_replaces_it() -> None:
    row = registered(T, locale="de", time_zone="Europe/Berlin", app_version="1")
    refreshed = upsert(change(Operation.REFRESH, app_version="2"), T + 1, row)
    replaced = upsert(change(Operation.REGISTER, app_version="2"), T + 1, row)
    assert isinstance(refreshed, DeviceRow)
    assert isinstance(replaced, DeviceRow)
    assert (refreshed.locale, refreshed.time_zone, refreshed.app_version) == ("de", "Europe/Berlin", "2")
    assert (replaced.locale, replaced.time_zone, replaced.app_version) == (None, None, "2")


def test_a_suspension_survives_an_event_from_before_it_and_ends_with_a_later_one_or_a_new_token() -> None:
    row = msgspec.structs.replace(registered(T), state="suspended", suspended_at=T + 10, suspended_reason="x")
    before, after = upsert(change(), T + 5, row), upsert(change(), T + 11, row)
    new_token = upsert(change(address=b"cd34"), T + 5, row)
    assert isinstance(before, DeviceRow)
    assert isinstance(after, DeviceRow)
    assert isinstance(new_token, DeviceRow)
    assert (before.state, before.suspended_at, before.suspended_reason) == ("suspended", T + 10, "x")
    assert (after.state, after.suspended_at, after.suspended_reason) == ("active", None, None)
    assert (new_token.state, new_token.suspended_at) == ("active", None)


def test_an_unregistration_removes_a_row_that_is_not_newer() -> None:
    assert removal(T, registered(T)) is None
    assert removal(T - 1, registered(T)) is Kept.OUTDATED
    assert removal(T, None) is Kept.UNKNOWN


def suspended(at: int = T, **fields: Any) -> DeviceRow:
    row = suspension(verdict(**fields), registered(at), doubted=False)
    assert isinstance(row, DeviceRow)
    return row


def test_a_verdict_suspends_the_row_and_says_since_when_and_why() -> None:
    row = suspended(invalid_since=T + 20)
    assert row == msgspec.structs.replace(
        registered(T),
        state="suspended",
        suspended_at=T + 60,
        suspended_reason="device_unregistered",
        invalid_since=T + 20,
    )


def test_a_verdict_with_the_providers_time_spares_what_was_registered_after_it() -> None:
    assert isinstance(suspension(verdict(invalid_since=T), registered(T), False), DeviceRow)
    assert suspension(verdict(invalid_since=T - 1), registered(T), False) is Kept.REGISTERED_LATER


def test_a_verdict_without_a_time_spares_what_was_registered_after_the_request_left() -> None:
    assert isinstance(suspension(verdict(sent_at=T), registered(T), False), DeviceRow)
    assert suspension(verdict(sent_at=T - 1), registered(T), False) is Kept.REGISTERED_LATER


def test_the_providers_time_counts_even_when_the_request_left_later() -> None:
    late = verdict(invalid_since=T - 1, sent_at=T + 1000)
    assert suspension(late, registered(T), False) is Kept.REGISTERED_LATER


def test_a_verdict_about_another_token_or_an_unknown_device_changes_nothing() -> None:
    other = verdict(token_hash=token_hash(b"cd34"))
    assert suspension(other, registered(T), False) is Kept.OTHER_TOKEN
    assert suspension(verdict(), None, False) is Kept.UNKNOWN
    assert ending(other, suspended(), False) is Kept.OTHER_TOKEN
    assert ending(verdict(), None, False) is Kept.UNKNOWN


def test_a_doubted_verdict_suspends_nothing() -> None:
    assert suspension(verdict(), registered(T), doubted=True) is Kept.DOUBTED


def test_a_verdict_of_a_life_before_leaves_a_staged_device_staged() -> None:
    """Suspended and then lifted it would be active before its release."""
    gone = msgspec.structs.replace(registered(T - 10), state="gone", address=b"", token_hash=b"")
    imported = upsert(change(staged=True), T, gone)
    assert isinstance(imported, DeviceRow)
    assert imported.state == "staged"
    assert suspension(verdict(sent_at=T + 5), imported, False) is Kept.STAGED


def test_the_same_verdict_again_is_the_same_row_and_another_one_leaves_it() -> None:
    row = suspended()
    assert suspension(verdict(), row, False) is row
    assert suspension(verdict(), row, True) is row  # its hold may be missing, and will end it
    assert suspension(verdict(at=T + 61), row, False) is Kept.SUSPENDED
    assert suspension(verdict(reason="token_malformed"), row, False) is Kept.SUSPENDED


def test_a_hold_removes_what_its_own_verdict_suspended_and_lifts_it_in_doubt() -> None:
    assert ending(verdict(), suspended(), doubted=False) is Ending.REMOVED
    assert ending(verdict(), suspended(), doubted=True) is Ending.LIFTED


def test_a_hold_leaves_what_is_active_again_or_suspended_by_another_verdict() -> None:
    assert ending(verdict(), registered(T), False) is Kept.ACTIVE
    assert ending(verdict(at=T + 61), suspended(), False) is Kept.SUSPENDED


def test_lifting_undoes_the_suspension_and_nothing_else() -> None:
    assert lifted(suspended()) == registered(T)


def test_a_registration_after_the_providers_time_lifts_even_when_it_is_older_than_the_answer() -> None:
    row = suspended(invalid_since=T + 20)
    before, after = upsert(change(), T + 20, row), upsert(change(), T + 21, row)
    assert isinstance(before, DeviceRow)
    assert isinstance(after, DeviceRow)
    assert (before.state, before.invalid_since) == ("suspended", T + 20)
    assert (after.state, after.suspended_at, after.invalid_since) == ("active", None, None)


def test_fact_18_the_row_remembers_kafkas_time_of_its_first_event_and_no_other() -> None:
    first = upsert(change(), T, None, recorded_at=T + 5)
    assert isinstance(first, DeviceRow)
    assert first.first_at == T + 5
    for op in (Operation.REFRESH, Operation.REGISTER):
        later = upsert(change(op=op), T + 10, first, recorded_at=T + 15)
        assert isinstance(later, DeviceRow)
        assert later.first_at == T + 5
    assert upsert(change(), T + 10, registered(T), recorded_at=T + 15).first_at is None  # type: ignore[union-attr]


HOUR = 3_600_000


def moved(row: DeviceRow, zone: str, at: int) -> DeviceRow:
    after = upsert(change(Operation.REFRESH, time_zone=zone), at, row, recorded_at=at)
    assert isinstance(after, DeviceRow)
    return after


def test_rulings_5_the_zone_before_a_change_is_kept_with_the_time_of_the_change() -> None:
    row = registered(T, time_zone="Asia/Tokyo")
    assert (row.zone_before, row.zone_at) == (None, None)
    row = moved(row, "Asia/Tokyo", T + HOUR)
    assert row.zone_at is None
    row = moved(row, "America/New_York", T + 2 * HOUR)
    assert (row.time_zone, row.zone_before, row.zone_at) == ("America/New_York", "Asia/Tokyo", T + 2 * HOUR)
    assert upsert(change(Operation.REFRESH, time_zone="America/New_York"), T + 2 * HOUR, row) is Kept.UNCHANGED


def test_rulings_5_a_change_within_30_hours_of_another_keeps_what_was_before_both() -> None:
    row = moved(registered(T, time_zone="Asia/Tokyo"), "America/New_York", T + HOUR)
    row = moved(row, "America/Denver", T + 30 * HOUR)
    assert (row.time_zone, row.zone_before, row.zone_at) == ("America/Denver", "Asia/Tokyo", T + HOUR)
    row = moved(row, "Europe/Berlin", T + 31 * HOUR)
    assert (row.zone_before, row.zone_at) == ("America/Denver", T + 31 * HOUR)
