"""Which rows are devices of a notification."""

from __future__ import annotations

from typing import get_args

import pytest

from pushcast.model.device import DeviceRow, Purpose
from pushcast.model.errors import InvalidInput
from pushcast.model.ids import device_row_key, token_hash
from pushcast.model.notification import PushType
from pushcast.plan.match import split_rows, with_locales
from pushcast.plan.recent import Recent, mark_of
from pushcast.wire.devices.devices import encode_row
from pushcast.wire.devices.row_reader import active_device


def row(
    device: str,
    token: str,
    app: str = "news",
    registered_at: int = 1,
    state: str = "active",
    platform: str = "fcm",
    purpose: str | None = None,
) -> tuple[bytes, bytes]:
    raw, at = token.encode(), registered_at
    value = encode_row(
        DeviceRow(app, device, platform, "token", raw, "", token_hash(raw), state, at, at, purpose=purpose)
    )
    return device_row_key("u", app, device), value


def names(*rows: tuple[bytes, bytes], push_type: str = "alert") -> list[str]:
    unreadable: list[InvalidInput] = []
    found = [device.key.decode().split("\0")[2] for device in split_rows(rows, None, push_type, unreadable.append)[0]]
    assert unreadable == []
    return found


def test_devices_with_tokens_of_their_own_are_all_reached() -> None:
    assert names(row("a", "1"), row("b", "2"), row("c", "1", app="chat")) == ["a", "b", "c"]


def test_one_token_under_two_device_ids_is_the_newest_of_them() -> None:
    assert names(row("a", "1", registered_at=5), row("b", "1", registered_at=9), row("c", "2")) == ["b", "c"]
    assert names(row("a", "1", registered_at=9), row("b", "1", registered_at=5), row("c", "2")) == ["a", "c"]


def test_fact_41_one_token_that_was_sealed_twice_is_one_phone() -> None:
    def sealed(device: str, at: int) -> tuple[bytes, bytes]:
        address = f"sealed for {device}".encode()
        fixed = ("news", device, "fcm", "token", address, "t2026a", token_hash(b"1"), "active", at, at)
        return device_row_key("u", "news", device), encode_row(DeviceRow(*fixed))

    assert names(sealed("a", 5), sealed("b", 9)) == ["b"]


def test_a_suspended_row_neither_counts_nor_hides_another() -> None:
    assert names(row("a", "1", registered_at=9, state="suspended"), row("b", "1", registered_at=5)) == ["b"]


def test_a_platform_of_a_later_release_is_left_alone() -> None:
    assert names(row("a", "1", platform="wns"), row("b", "2")) == ["b"]


@pytest.mark.parametrize("push_type", get_args(PushType))
def test_a_purpose_takes_its_push_type_and_none_takes_every_one(push_type: str) -> None:
    """Reproduction 5.11: an alert leaves the PushKit token alone."""
    rows = [row(purpose, purpose, purpose=purpose) for purpose in Purpose]
    wanted = "alert" if push_type == "background" else push_type
    assert names(row("any", "any"), *rows, push_type=push_type) == ["any", wanted]


def test_nobody_who_fits_is_no_devices() -> None:
    assert names(row("call", "1", purpose="voip")) == []


def test_the_newest_row_of_a_token_says_what_it_takes() -> None:
    rows = (row("old", "1", registered_at=5), row("new", "1", registered_at=9, purpose="voip"))
    assert names(*rows) == []
    assert names(*rows, push_type="voip") == ["new"]


def test_a_purpose_of_a_later_release_is_left_alone() -> None:
    assert names(row("a", "1", purpose="hologram"), row("b", "2")) == ["b"]


def test_no_rows_are_no_devices() -> None:
    assert names() == []


def test_a_value_that_is_no_row_is_told_and_left_out() -> None:
    told: list[InvalidInput] = []
    found = split_rows([row("a", "1"), (b"u\0news\0b", b"\x00")], None, "alert", told.append)[0]
    assert len(found) == 1
    assert [error.reason for error in told] == ["unknown_frame"]


def test_recent_knows_the_last_notifications_of_each_user_within_its_bound() -> None:
    recent = Recent(3)
    assert not recent.remember("u", "1")
    assert recent.remember("u", "1")
    assert not recent.remember("v", "1")
    for number in range(100):
        recent.remember("w", f"{number}")
        assert len(recent) <= 6
        for before in range(max(0, number - 2), number):
            assert recent.remember("w", f"{before}")
    assert not recent.remember("u", "1"), "forgotten by now"


def test_g4_another_content_under_the_same_id_is_told_apart_from_a_duplicate() -> None:
    recent = Recent(2)
    mark = mark_of(b"Goal!")
    other = next(each for number in range(1000) if (each := mark_of(b"%d" % number)) != mark)
    assert recent.remember("u", "1", mark) is None
    assert recent.remember("u", "1", mark) == "duplicate"
    assert [recent.remember("u", "1", other) for _ in range(2)] == ["id_reused"] * 2
    for number in range(2, 5):
        recent.remember("u", f"{number}", other)
    assert recent.remember("u", "1", mark) == "duplicate", "what came first is compared with, in both generations"
    assert recent.remember("u", "1") == "duplicate", "of a content that is not compared nothing is said"


def test_the_border_between_user_and_id_cannot_be_moved() -> None:
    recent = Recent(10)
    recent.remember("a", "bc")
    assert not recent.remember("ab", "c")


@pytest.mark.parametrize("kept", range(1, 8))
def test_a_row_that_is_broken_behind_registered_at_is_left_out_where_its_locale_is_asked_for(kept: int) -> None:
    key, value = row("d", "a")
    device = active_device(key, value)
    assert device is not None
    hashed = value.index(device.token_hash) + len(device.token_hash)
    head = value[: value.index(device.registered_at, hashed + 6) + len(device.registered_at)]  # the state is before it
    broken = device._replace(row=head + b"\xff" * kept)
    unreadable: list[InvalidInput] = []
    assert with_locales([device, broken], unreadable.append) == [device]
    assert [error.reason for error in unreadable] == ["undecodable"]
