"""What the environment says to the embedded Kafka."""

from __future__ import annotations

from pathlib import Path

import pytest

from pushcast.config import settings
from pushcast.kafka.embedded.environment import ENVIRONMENT_NAMES, Environment
from pushcast.kafka.embedded.errors import SettingError


def test_the_settings_tree_lets_our_variables_through() -> None:
    assert ENVIRONMENT_NAMES <= settings.OTHER_VARIABLES


def test_nothing_set_means_the_user_s_own_directories(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    found = Environment.read({})
    assert found.cache_dir == Path("/home/someone/.cache/pushcast")
    assert found.data_dir == Path("/home/someone/.local/share/pushcast/kafka")
    assert (found.maven_mirror, found.ca_file, found.java) == (None, None, None)


def test_what_is_set_holds(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()
    values = {
        "PUSHCAST_CACHE_DIR": "/var/cache/push",
        "XDG_CACHE_HOME": "/ignored",
        "XDG_DATA_HOME": "/data",
        "PUSHCAST_MAVEN_MIRROR": "https://mirror.example/maven2/",
        "PUSHCAST_CA_FILE": str(tmp_path / "ca.pem"),
        "PUSHCAST_JAVA": "/opt/java/bin/java",
    }
    found = Environment.read(values)
    assert found == Environment(
        cache_dir=Path("/var/cache/push"),
        data_dir=Path("/data/pushcast/kafka"),
        maven_mirror="https://mirror.example/maven2",
        ca_file=tmp_path / "ca.pem",
        java=Path("/opt/java/bin/java"),
    )


@pytest.mark.parametrize("mirror", ["mirror.example/maven2", "ftp://mirror.example", "https://"])
def test_a_mirror_that_is_no_url_is_refused(mirror: str) -> None:
    with pytest.raises(SettingError, match="PUSHCAST_MAVEN_MIRROR"):
        Environment.read({"PUSHCAST_MAVEN_MIRROR": mirror})


def test_a_ca_file_that_is_not_there_is_refused() -> None:
    with pytest.raises(SettingError, match=r"PUSHCAST_CA_FILE names /absent\.pem"):
        Environment.read({"PUSHCAST_CA_FILE": "/absent.pem"})


def test_a_user_without_a_home_is_told_what_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", unknown)
    with pytest.raises(SettingError, match="set HOME, or XDG_DATA_HOME and PUSHCAST_CACHE_DIR"):
        Environment.read({})
    found = Environment.read({"XDG_DATA_HOME": str(tmp_path), "PUSHCAST_CACHE_DIR": str(tmp_path / "jars")})
    assert (found.data_dir, found.cache_dir) == (tmp_path / "pushcast" / "kafka", tmp_path / "jars")
    with pytest.raises(SettingError, match="PUSHCAST_JAVA begins with a home directory that is not known"):
        Environment.read({"XDG_DATA_HOME": "/x", "XDG_CACHE_HOME": "/x", "PUSHCAST_JAVA": "~nobody-of-this-name/java"})
