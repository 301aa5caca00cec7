"""Rows of users beside their devices' rows: whole, and never taken for a device."""

from __future__ import annotations

from pushcast.model.ids import device_row_key, device_row_prefix, is_user_row, user_row_key
from pushcast.model.user import QuietHours, UserRow
from pushcast.plan.match import split_rows
from pushcast.wire.answers.legs import Leg, decode_leg, encode_leg
from pushcast.wire.devices.user_rows import decode_user_row, encode_user_row

ROW = UserRow(
    forgotten_at=5,
    at=7,
    time_zone="Europe/Berlin",
    quiet_hours=(QuietHours(("mon", "tue"), "22:00", "07:00"),),
    classes={"marketing": "off"},
    threads={"t1": "off"},
    muted_until=9,
)


def test_a_user_row_comes_back_as_it_was_written() -> None:
    assert decode_user_row(encode_user_row(ROW)) == ROW
    assert decode_user_row(encode_user_row(UserRow())) == UserRow()


def test_its_keys_have_an_empty_device_and_sort_before_the_users_devices() -> None:
    whole, of_app, device = user_row_key("u"), user_row_key("u", "news"), device_row_key("u", "news", "d")
    assert (whole, of_app) == (b"u\0\0", b"u\0news\0")
    assert whole < of_app < device
    assert of_app.startswith(device_row_prefix("u", "news"))
    assert [is_user_row(key) for key in (whole, of_app, device)] == [True, True, False]


def test_plan_leaves_user_rows_out_and_counts_nothing() -> None:
    """Rulings II.31: a row that is no device is neither planned nor unreadable."""
    refused: list[Exception] = []
    value = encode_user_row(ROW)
    rows = [(user_row_key("u"), value), (user_row_key("u", "news"), value)]
    assert split_rows(rows, None, "alert", refused.append)[0] == []
    assert refused == []


def test_a_leg_comes_back_as_it_was_written() -> None:
    leg = Leg(
        "bulk", 7, "b-1", 3, "user-1999", "user-2999", 1, 2, scanned=2000, matched=1200, apns=700, fcm=480, other=20,
        reasons={"opted_out": 20}, variants={"a": 600}, rows_before=4000, held_out=15, step=1, last=True,
        reason="expired",
    )  # fmt: skip
    assert decode_leg(encode_leg(leg)) == leg
    assert (leg.planned, leg.source) == (1180, 1)
