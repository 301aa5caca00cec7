"""Exports of other systems as device changes, each against a golden file that has the form of its documentation."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest

from pushcast.model.errors import ConfigurationError, InvalidInput
from pushcast.wire.devices.devices import DeviceChangeDecoder
from pushcast.wire.migrate import files
from pushcast.wire.migrate.files import System, found_in
from pushcast.wire.migrate.rows import Import, ImportMap, Skipped

GOLDEN = Path(__file__).parent / "golden"
DECODER = DeviceChangeDecoder(["news"])
HEX = "ab12" * 16
EXPORTED = "2026-11-20T00:00:00Z"
TABLE = ImportMap(
    columns={
        "user": "customer",
        "device": "phone",
        "platform": "os",
        "token": "push_token",
        "locale": "lang",
        "topics": "follows",
        "tags": "labels",
        "at": "last_seen",
    },
    constants={"country": "DE"},
    platforms={"iPhone": "apns", "Android": "fcm"},
    topics={"arsenal": "team/arsenal"},
    tags={"tier": "plan"},
)


def read(name: str, how: Import | None = None) -> tuple[list[tuple[str, dict[str, Any]]], dict[str, int]]:
    """Devices, each of which the decoder takes, and how many rows are none, by reason."""
    system = System(name.partition(".")[0])
    devices, skipped = [], Counter[str]()
    with (GOLDEN / name).open(encoding="utf-8-sig", newline="") as text:
        for _, found in found_in(text, system, how or Import("news")):
            if isinstance(found, Skipped):
                skipped[str(found)] += 1
            else:
                assert not isinstance(found, InvalidInput)
                user, event = found
                DECODER.decode(user, orjson.dumps(event), 0)
                devices.append((user, {name: said for name, said in event.items() if name not in ("op", "app")}))
    return devices, dict(skipped)


def test_airships_pages_and_channels() -> None:
    devices, skipped = read("airship.json")
    token = "FE66489F304DC75B8D6E8200DFF8A456E8DAEACEC428B427E9518741C92C6660"
    place = {"locale": "en-GB", "country": "GB", "time_zone": "Europe/London", "app_version": "4.9.0"}
    ios = {"device": "9c36e8c7-5a73-47c0-9716-99fd3d4197d5", "platform": "apns", "token": token, **place}
    android = "b8f9b663-0a3b-cf45-587a-be880946e881"
    fcm = {"device": android, "platform": "fcm", "token": "fcm-token-of-an-android-phone"}
    assert devices == [
        ("u-1", {**ios, "topics": ["team-arsenal", "beta"], "at": "2020-10-07T21:28:35Z"}),
        (f"device:{android}", {**fcm, "at": "2020-05-01T18:00:27Z"}),
    ]
    assert skipped == {"device_type": 1, "invalid_identifier": 1, "unsubscribed": 1, "no_token": 1}


def test_countlys_tokens_with_what_its_users_say_beside_them() -> None:
    devices, skipped = read("countly.json")
    about = {"locale": "de", "country": "DE", "app_version": "4.2.1", "at": "2026-11-21T09:00:00+00:00"}
    fcm = {"device": "2b-ap", "platform": "fcm", "token": "fcm-token-2b", "at": "2026-11-21T09:00:00.500000+00:00"}
    assert devices == [
        ("u-1", {"device": "1a-ip", "platform": "apns", "token": HEX, **about}),
        ("device:2b-ap", fcm),
    ]
    assert skipped == {"sandbox": 1, "device_type": 1, "no_token": 1, "no_time": 1, "unreadable": 1}


def test_parses_installations_by_its_api_and_by_mongodb() -> None:
    devices, skipped = read("parse.json")
    place = {"locale": "en-US", "time_zone": "America/Los_Angeles", "app_version": "1.0", "topics": ["Giants"]}
    ios = {"device": "12345678-1234-1234-1234-123456789abc", "platform": "apns", "token": HEX, **place}
    fcm = {"device": "9abc", "platform": "fcm", "token": "fcm-token-9abc", "at": "2026-11-21T09:00:00.000Z"}
    assert devices == [("u-1", {**ios, "at": "2012-04-28T17:41:09.106Z"}), ("u-2", fcm)]
    assert skipped == {"device_type": 1, "no_token": 1, "unreadable": 1}


def test_endpoints_of_sns_have_no_time_but_the_one_that_is_given() -> None:
    devices, skipped = read("sns.json", Import("news", EXPORTED))
    fcm = {"device": "12345678-abcd-9012-efgh-345678901234", "platform": "fcm", "token": "fcm-token-of-sns"}
    apns = {"device": "23456789", "platform": "apns", "token": HEX, "at": EXPORTED}
    assert devices == [("u-1", {**fcm, "at": EXPORTED}), ("device:23456789", apns)]
    others = {"sandbox": 1, "invalid_identifier": 1, "device_type": 1, "unreadable": 1}
    assert skipped == others
    assert read("sns.json") == ([], {**others, "no_time": 2})


def test_registrations_of_azure_name_their_user_in_a_tag() -> None:
    names = ImportMap(user_tag="userid:", topics={"team-arsenal": "team/arsenal"})
    devices, skipped = read("azure.xml", Import("news", EXPORTED, names))
    token = "0D5066BE84F13FE7D1A935A9922C9BCA0890C9FDF57DDD1DB4FD8642331184C2"
    ios = {"device": "0d5066be", "platform": "apns", "token": token, "topics": ["team/arsenal"], "at": EXPORTED}
    fcm = {"device": "77-1", "platform": "fcm", "token": "fcm-token-of-azure", "at": EXPORTED}
    assert devices == [("u-1", ios), ("device:77-1", fcm)]
    assert skipped == {"no_token": 1, "device_type": 1, "unreadable": 2}, "what declares an entity is not read"


def test_onesignals_table() -> None:
    devices, skipped = read("onesignal.csv")
    assert [user for user, _ in devices] == ["u-1", "device:0a1c"]
    assert devices[0][1]["tags"] == {"plan": "pro"}
    assert skipped == {"device_type": 1}
    renamed, _ = read("onesignal.csv", Import("news", names=ImportMap(tags={"plan": "tier"})))
    assert renamed[0][1]["tags"] == {"tier": "pro"}


def test_a_table_of_ones_own_by_its_map() -> None:
    devices, skipped = read("table.csv", Import("news", names=TABLE))
    about = {"country": "DE", "locale": "de-DE", "topics": ["team/arsenal"], "tags": {"plan": "gold"}}
    at = "2026-11-21T09:00:00Z"
    fcm = {"device": "p-2", "platform": "fcm", "token": "fcm-token-p-2", "country": "DE", "topics": ["team/arsenal"]}
    assert devices == [
        ("u-1", {"device": "p-1", "platform": "apns", "token": HEX, **about, "at": at}),
        ("device:p-2", {**fcm, "at": at}),
    ]
    assert skipped == {"device_type": 1, "no_token": 1, "no_time": 1}
    assert len(read("table.csv", Import("news", EXPORTED, TABLE))[0]) == 3


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (ImportMap(), "says nothing of device"),
        (ImportMap(columns={"device": "phone", "platform": "os"}), "says nothing of token"),
        (ImportMap(columns={"device": "phone", "platform": "os", "token": "tokens"}), "has no column 'tokens'"),
        (ImportMap(columns={"devise": "phone"}), "'devise' is no field"),
    ],
)
def test_a_map_that_does_not_go_with_the_table_is_refused_by_name(names: ImportMap, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        read("table.csv", Import("news", names=names))


@pytest.mark.parametrize("system", [System.airship, System.countly, System.parse, System.sns])
@pytest.mark.parametrize(
    "text",
    [
        "nothing\n",
        '{"Endpoints": 1}\n',
        "[[]]\n",
        "null\n",
        '{"a":\n"b"}\n',
        "{\n{}\n",
        '"?"',
    ],
)
def test_what_is_no_export_of_json_is_counted_line_by_line(system: System, text: str) -> None:
    found = [each for _, each in found_in(io.StringIO(text), system, Import("news"))]
    assert found
    assert {each for each in found if isinstance(each, Skipped)} <= set(Skipped)
    assert not [each for each in found if not isinstance(each, Skipped)]


@pytest.mark.parametrize("system", list(System))
def test_an_empty_file_has_no_devices(system: System) -> None:
    names = ImportMap(constants={"device": "d", "platform": "apns", "token": "t"})
    assert list(found_in(io.StringIO(""), system, Import("news", names=names))) == []


def test_a_document_that_is_too_long_says_how_to_make_lines_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_DOCUMENT_CHARS", 10)
    with pytest.raises(ConfigurationError, match="jq -c"):
        list(found_in(io.StringIO('{"Endpoints": [\n' + " " * 20 + "]}"), System.sns, Import("news")))


def test_a_bad_line_among_good_ones_costs_itself_alone() -> None:
    good = '{"_id": "1", "tk": {"ap": "t"}, "ls": 1795251600}'
    found = [each for _, each in found_in(io.StringIO(f"{good}\n{{{good}\n{good}\n"), System.countly, Import("news"))]
    assert [isinstance(each, Skipped) for each in found] == [False, True, False]
