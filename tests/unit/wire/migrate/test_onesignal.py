"""OneSignal's CSV export as device changes, and exports of our own that import again to nothing."""

from __future__ import annotations

import csv
import io
from base64 import b64encode
from typing import Any

import orjson
import pytest

from pushcast.model.device import DeviceRow
from pushcast.register.decide import upsert
from pushcast.register.kept import Kept
from pushcast.wire.devices.content_keys import opened
from pushcast.wire.devices.device_export import COLUMNS, as_csv, from_csv, registration_of
from pushcast.wire.devices.devices import DeviceChangeDecoder
from pushcast.wire.migrate.onesignal import changes_of
from pushcast.wire.migrate.rows import FoundDevice, Import, Skipped
from pushcast.wire.sealing.seals import Place, TokenKeys

DECODER = DeviceChangeDecoder(["news"])
T = 1_800_000_000_000
ROW = {
    "id": "0a1b",
    "identifier": "ab12" * 16,
    "device_type": "0",
    "language": "de",
    "timezone_id": "Europe/Berlin",
    "game_version": "7.1",
    "tags": '{"plan": "pro", "level": 3}',
    "last_active": "2026-11-21 09:00:00 UTC",
    "invalid_identifier": "f",
    "external_user_id": "u-1",
    "notification_types": "1",
    "country": "DE",
}


def change_of(row: dict[str, str], app: str) -> FoundDevice:
    [found] = changes_of(row, Import(app))
    return found


def test_a_row_becomes_a_registration_at_the_time_of_its_last_activity() -> None:
    found = change_of(ROW, "news")
    assert not isinstance(found, Skipped)
    user, event = found
    change = DECODER.decode(user, orjson.dumps(event), T)
    assert (user, change.device, change.platform, change.at) == ("u-1", "0a1b", "apns", 1_795_251_600_000)
    assert (change.locale, change.time_zone, change.app_version) == ("de", "Europe/Berlin", "7.1")
    assert (change.country, change.tags) == ("DE", {"plan": "pro", "level": "3"})


def test_a_device_without_a_user_is_its_own() -> None:
    found = change_of({**ROW, "external_user_id": ""}, "news")
    assert not isinstance(found, Skipped)
    assert found[0] == "device:0a1b"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"device_type": "11"}, Skipped.DEVICE_TYPE),
        ({"device_type": "14"}, Skipped.DEVICE_TYPE),
        ({"device_type": "2"}, Skipped.DEVICE_TYPE),
        ({"invalid_identifier": "t"}, Skipped.INVALID),
        ({"notification_types": "-2"}, Skipped.UNSUBSCRIBED),
        ({"notification_types": "0"}, Skipped.UNSUBSCRIBED),
        ({"identifier": ""}, Skipped.NO_TOKEN),
        ({"last_active": ""}, Skipped.NO_TIME),
    ],
)
def test_fact_50_mail_text_messages_dead_and_unsubscribed_rows_are_skipped_with_a_reason(
    fields: dict[str, str], reason: Skipped
) -> None:
    assert change_of({**ROW, **fields}, "news") is reason


def test_a_browser_becomes_a_subscription() -> None:
    row = {**ROW, "device_type": "5", "identifier": "https://push.example/x", "web_auth": "a", "web_p256": "b"}
    found = change_of(row, "news")
    assert not isinstance(found, Skipped)
    assert found[1]["subscription"] == {"endpoint": "https://push.example/x", "p256dh": "b", "auth": "a"}


def registered(**fields: Any) -> DeviceRow:
    event = {"op": "register", "app": "news", "device": "d-1", "platform": "apns", "token": "ab12" * 16, "at": T}
    change = DECODER.decode("u-1", orjson.dumps({**event, **fields}), T)
    row = upsert(change, T, None, recorded_at=T + 5)
    assert isinstance(row, DeviceRow)
    return row


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"topics": ["a", "b"], "tags": {"plan": "pro"}, "country": "DE", "region": "BE", "purpose": "voip"},
        {"locale": "de-DE", "time_zone": "Europe/Berlin", "app_version": "7.1"},
        {"platform": "fcm", "token": None, "fid": "abc-DEF"},
        {"staged": True},
        {"content_key": {"id": 7, "alg": "a256gcm", "key": b64encode(bytes(32)).decode()}},
    ],
)
def test_fact_51_an_export_that_is_imported_again_leaves_every_row_as_it_is(fields: dict[str, Any]) -> None:
    row = registered(**fields)
    place = Place("news", row.platform, row.kind, "u-1", "d-1")
    key = None if row.content_key is None else opened(row.content_key, place, TokenKeys({}, None).open)
    line = registration_of("u-1", row, row.address, key)
    user = line.pop("user")
    change = DECODER.decode(user, orjson.dumps(line), T + 99)
    assert upsert(change, change.at, row) is Kept.UNCHANGED
    anew = upsert(change, change.at, None, recorded_at=row.first_at)
    assert anew == row


def test_topics_that_were_changed_since_are_left_as_they_are_by_an_import() -> None:
    row = registered(topics=["a"])
    followed = DeviceRow(**{**{name: getattr(row, name) for name in row.__struct_fields__}, "topics_at": T - 9})
    line = registration_of("u-1", followed, followed.address)
    line.pop("user")
    assert upsert(DECODER.decode("u-1", orjson.dumps(line), T + 99), T, followed) is Kept.UNCHANGED


def test_a_sealed_token_stays_sealed_in_an_export() -> None:
    line = registration_of("u-1", registered(), None)
    assert "token" not in line
    assert set(line) >= {"address", "key_id"}


def test_an_export_as_csv_has_a_column_for_each_field() -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    line = registration_of("u-1", registered(topics=["a"]), b"ab12")
    writer.writerow(as_csv(line))
    [row] = csv.DictReader(io.StringIO(text.getvalue()))
    assert (row["user"], row["token"], row["topics"]) == ("u-1", "ab12", '["a"]')
    assert from_csv(row) == line
    assert from_csv({"topics": "a, b"}) == {"topics": "a, b"}
