"""What a user wants: the order of time.md A6."""

from __future__ import annotations

import pytest

from pushcast.model.preferences import NO_WISHES, Wishes
from pushcast.model.user import QuietHours, UserRow
from pushcast.model.words import Reason

NOW = 1_000_000
NIGHT, NOON = (QuietHours(("mon",), "22:00", "07:00"),), (QuietHours(("mon",), "12:00", "13:00"),)


def wishes(everywhere: UserRow | None = None, news: UserRow | None = None) -> Wishes:
    return Wishes(everywhere or UserRow(), {} if news is None else {"news": news})


OFF, ON = UserRow(classes={"promo": "off"}), UserRow(classes={"promo": "on"})
SILENT = UserRow(threads={"t1": "off"})
MUTED, MUTED_UNTIL_NOW = UserRow(muted_until=NOW + 1), UserRow(muted_until=NOW)


@pytest.mark.parametrize(
    ("said", "options", "reason"),
    [
        (NO_WISHES, {}, None),
        (NO_WISHES, {"opt_in": True}, Reason.OPTED_OUT),
        (wishes(ON), {"opt_in": True}, None),
        (wishes(OFF), {}, Reason.OPTED_OUT),
        (wishes(OFF), {"mandatory": True}, None),
        (wishes(OFF, ON), {}, None),
        (wishes(ON, OFF), {}, Reason.OPTED_OUT),
        (wishes(SILENT), {}, Reason.OPTED_OUT),
        (wishes(SILENT, UserRow(threads={"t1": "on"})), {}, None),
        (wishes(ON, SILENT), {}, Reason.OPTED_OUT),
        (wishes(MUTED), {}, Reason.MUTED),
        (wishes(None, MUTED), {}, Reason.MUTED),
        (wishes(MUTED, UserRow()), {}, Reason.MUTED),
        (wishes(MUTED_UNTIL_NOW), {}, None),
        (wishes(MUTED), {"mandatory": True}, None),
        (wishes(MUTED, OFF), {}, Reason.OPTED_OUT),
        (wishes(MUTED), {"opt_in": True}, Reason.MUTED),
        (wishes(UserRow(classes={"other": "off"})), {}, None),
    ],
)
def test_p1_who_has_the_say(said: Wishes, options: dict[str, bool], reason: Reason | None) -> None:
    assert said.unwanted("news", "promo", "t1", NOW, **options) == reason


def test_the_word_of_another_app_does_not_count() -> None:
    assert wishes(None, OFF).unwanted("chat", "promo", None, NOW) is None


def test_an_apps_own_zone_and_quiet_hours_come_before_those_for_all_apps() -> None:
    both = wishes(
        UserRow(time_zone="Europe/Berlin", quiet_hours=NIGHT), UserRow(time_zone="Asia/Tokyo", quiet_hours=NOON)
    )
    assert (both.time_zone("news"), both.quiet_hours("news")) == ("Asia/Tokyo", NOON)
    assert (both.time_zone("chat"), both.quiet_hours("chat")) == ("Europe/Berlin", NIGHT)
    assert (NO_WISHES.time_zone("news"), NO_WISHES.quiet_hours("news")) == (None, ())
