"""Where `pushcast up` writes, and what it never writes over."""

from __future__ import annotations

import shlex
import socket
from pathlib import Path
from threading import Event

import pytest

from pushcast.demo.sections import WRITTEN
from pushcast.demo.up import Door, Place, down, guide, open_door, up
from pushcast.model.errors import ConfigurationError
from pushcast.transport.folders import FolderLocks


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / ".pushcast" / "up", tmp_path / "pushcast.yaml")


def test_the_first_keys_file_is_its_users_alone(tmp_path: Path) -> None:
    """`pushcast config check` warned of the file that `pushcast up` had just written."""
    (tmp_path / "keys.json").write_text("of an earlier start")
    assert open_door(tmp_path).keys_file.stat().st_mode & 0o777 == 0o600


DOOR = Door(8080, 8081, "pc_key", Path("keys.json"))


def silent(_: str) -> None:
    return


def start(place: Place) -> None:
    up(place, ["apns"], silent, Event(), Event())


def test_a_configuration_that_somebody_wrote_is_refused_and_kept(place: Place) -> None:
    place.config_file.write_text("apps: {}\n")
    with pytest.raises(ConfigurationError, match="not written by `pushcast up`"):
        start(place)
    assert place.config_file.read_text() == "apps: {}\n"
    place.remove()
    assert place.config_file.exists()


def test_a_folder_in_which_it_is_up_is_refused_by_pid(place: Place) -> None:
    locks = FolderLocks([place.home])
    with pytest.raises(ConfigurationError, match=r"up in this folder already \(pid \d+\)"):
        start(place)
    locks.close()


def test_down_with_data_removes_what_up_wrote_and_nothing_else(place: Place) -> None:
    (place.home / "data").mkdir(parents=True)
    own = place.home.parent / "run"
    own.mkdir()
    place.config_file.write_text(f"{WRITTEN}apps: {{}}\n")
    assert not down(place, data=True, say=silent)
    assert not place.home.exists()
    assert not place.config_file.exists()
    assert own.is_dir(), "the data directory of roles that somebody runs here without `up`"


def test_the_place_is_this_folder_and_the_configuration_where_the_environment_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PUSHCAST_CONFIG", raising=False)
    assert Place.here() == Place(tmp_path / ".pushcast" / "up", tmp_path / "pushcast.yaml")
    monkeypatch.setenv("PUSHCAST_CONFIG", "other.yaml")
    assert Place.here().config_file == tmp_path / "other.yaml"


def test_the_guide_names_commands_that_a_shell_takes() -> None:
    text = guide("'/a b/pushcast'", ["apns", "fcm"], "roles.log", DOOR)
    send = next(line for line in text.splitlines() if "send" in line)
    assert shlex.split(send)[:4] == ["/a b/pushcast", "send", "--user", "u1"]
    assert "on apns, fcm" in text


def test_the_guide_begins_with_the_console_and_a_key_that_opens_it() -> None:
    lines = guide("pushcast", ["apns"], "roles.log", DOOR).split("\n")
    assert lines[1:5] == ["Everything is up.", "", "  Console    http://127.0.0.1:8081", "  First key  pc_key"]


def test_the_gateway_and_the_console_get_different_ports_also_when_both_are_taken(tmp_path: Path) -> None:
    first = open_door(tmp_path)
    with socket.create_server(("127.0.0.1", first.port)), socket.create_server(("127.0.0.1", first.console_port)):
        second = open_door(tmp_path)
    assert len({first.port, first.console_port, second.port, second.console_port}) == 4
