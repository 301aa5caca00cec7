"""Which rows are devices of a notification."""

from __future__ import annotations

from pushcast.model.device import DeviceRow
from pushcast.model.errors import InvalidInput
from pushcast.model.ids import device_row_key, token_hash
from pushcast.plan.match import devices_of
from pushcast.plan.recent import Recent
from pushcast.wire.devices import encode_row


def row(
    device: str, token: str, app: str = "news", registered_at: int = 1, state: str = "active", platform: str = "fcm"
) -> tuple[bytes, bytes]:
    raw = token.encode()
    value = encode_row(
        DeviceRow(app, device, platform, "token", raw, "", token_hash(raw), state, registered_at, registered_at)
    )
    return device_row_key("u", app, device), value


def names(*rows: tuple[bytes, bytes]) -> list[str]:
    unreadable: list[InvalidInput] = []
    found = [device.key.decode().split("\0")[2] for device in devices_of(rows, unreadable.append)]
    assert unreadable == []
    return found


def test_devices_with_tokens_of_their_own_are_all_reached() -> None:
    assert names(row("a", "1"), row("b", "2"), row("c", "1", app="chat")) == ["a", "b", "c"]


def test_one_token_under_two_device_ids_is_the_newest_of_them() -> None:
    assert names(row("a", "1", registered_at=5), row("b", "1", registered_at=9), row("c", "2")) == ["b", "c"]
    assert names(row("a", "1", registered_at=9), row("b", "1", registered_at=5), row("c", "2")) == ["a", "c"]


def test_a_suspended_row_neither_counts_nor_hides_another() -> None:
    assert names(row("a", "1", registered_at=9, state="suspended"), row("b", "1", registered_at=5)) == ["b"]


def test_a_platform_of_a_later_release_is_left_alone() -> None:
    assert names(row("a", "1", platform="wns"), row("b", "2")) == ["b"]


def test_no_rows_are_no_devices() -> None:
    assert names() == []


def test_a_value_that_is_no_row_is_told_and_left_out() -> None:
    told: list[InvalidInput] = []
    found = devices_of([row("a", "1"), (b"u\0news\0b", b"\x00")], told.append)
    assert len(found) == 1
    assert [error.reason for error in told] == ["unknown_frame"]


def test_recent_knows_the_last_notifications_of_each_user_within_its_bound() -> None:
    recent = Recent(3)
    assert not recent.is_duplicate("u", "1")
    assert recent.is_duplicate("u", "1")
    assert not recent.is_duplicate("v", "1")
    for number in range(100):
        recent.is_duplicate("w", f"{number}")
        assert len(recent) <= 6
        for before in range(max(0, number - 2), number):
            assert recent.is_duplicate("w", f"{before}")
    assert not recent.is_duplicate("u", "1"), "forgotten by now"


def test_the_border_between_user_and_id_cannot_be_moved() -> None:
    recent = Recent(10)
    recent.is_duplicate("a", "bc")
    assert not recent.is_duplicate("ab", "c")
