"""What is wrong with a configuration is said in the user's words, and everything at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pushcast.config.reading import with_seconds, without_user_info
from pushcast.config.refusals import keys_at
from pushcast.config.settings import Settings, load
from pushcast.model.errors import ConfigurationError


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PUSHCAST_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def refusal(text: str) -> str:
    Path("pushcast.yaml").write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load()
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kafak: {}", "kafak: unknown key; did you mean kafka?"),
        ("send: {breaker: {probe: 3}}", "send.breaker.probe: unknown key; did you mean probes?"),
        ("apps: {news: {apn: {}}}", "apps.news.apn: unknown key; did you mean apns?"),
        ("schemas: {zzz: 1}", "schemas.zzz: unknown key; keys here are registry_url"),
        ("apps: {news: {fcm: {project_id: x}}}", "apps.news.fcm.service_account_file: is missing"),
        ("retry: {rungs_seconds: [1, 2]}", "retry.rungs_seconds: has fewer entries than it must have"),
        ("send: {slow_seconds: soon}", "a duration is seconds, or like 10s, 5m, 2h, 1d"),
        ("plan: 3", "plan: must hold keys of its own"),
        ("- kafka", "pushcast.yaml holds a list; it must hold sections"),
        ("kafka", "pushcast.yaml holds one str; it must hold sections"),
        ("1: 2", "pushcast.yaml holds a section called 1, which YAML does not read as a text"),
        ("plan: {}\nyes: {}", "a section called True, which"),
        ("plan: &plan [*plan]", "pushcast.yaml is nested too deeply, or holds itself"),
        ("[" * 5000, "pushcast.yaml is nested too deeply"),
        ("plan: " + "{a: " * 3000, "pushcast.yaml is nested too deeply"),
        ("plan: {max_targets: 1}\nplan: {}", "line 2, column 1: not YAML: the key 'plan' stands here for the second"),
        (
            "plan:\n  max_targets: 1\n  max_targets: 2",
            "the key 'max_targets' stands here for the second time, first in line 2",
        ),
    ],
)
def test_a_refusal_says_what_would_be_right(text: str, said: str) -> None:
    assert said in refusal(text)


def test_every_fault_of_a_file_is_named_at_once() -> None:
    said = refusal("kafak: {}\nplan: {max_targets: 0}\nsend: {slow_seconds: no}")
    assert all(name in said for name in ("kafak", "plan.max_targets", "send.slow_seconds"))


def test_a_file_that_is_not_text_is_a_refusal() -> None:
    Path("pushcast.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="configuration refused"):
        load()


def test_yaml_merges_are_no_doubled_keys() -> None:
    Path("pushcast.yaml").write_text("classes:\n  a: &a {ttl_seconds: 60}\n  b: {<<: *a, lane: bulk}\n")
    assert load().classes["b"].ttl_seconds == 60


def test_durations_are_seconds_or_have_a_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("pushcast.yaml").write_text("devices: {hold_seconds: 10m}\nretry: {rungs_seconds: [500ms, 1s, 2m, 1h]}\n")
    monkeypatch.setenv("PUSHCAST_SEND__SLOW_SECONDS", "1.5m")
    settings = load()
    assert settings.devices.hold_seconds == 600
    assert settings.retry.rungs_seconds == (0.5, 1, 120, 3600)
    assert settings.send.slow_seconds == 90


def test_only_durations_are_read_as_such() -> None:
    assert with_seconds({"topic": "10m", "x_seconds": "10m"}) == {"topic": "10m", "x_seconds": 600}


def test_no_url_shows_its_password() -> None:
    tree = {"a": ["https://u:p@host/x", "mailto:a@b.c"], "b": {"c": "http://token@host"}, "n": 1}
    assert without_user_info(tree) == {
        "a": ["https://***@host/x", "mailto:a@b.c"],
        "b": {"c": "http://***@host"},
        "n": 1,
    }


def test_keys_are_known_through_mappings_and_optional_sections() -> None:
    assert "key_file" in keys_at(Settings, ("apps", "news", "apns"))
    assert keys_at(Settings, ("kafka", "partitions")) == []


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"\xef\xbb\xbfplan:\r\n  max_targets: 7\r\n", None),
        (b"plan:\n\tmax_targets: 7\n", "line 2"),
        (b"plan: {}\n---\nsend: {}\n", "pushcast.yaml"),
        (b"apps: [news]\n", "apps: must hold keys of its own"),
        (b"kafka: {bootstrap_servers: '[::1]:9092'}\nplan: {max_targets: 7}\n", None),
        (b"plan: {}\n\xe9", "pushcast.yaml, byte 10: not UTF-8"),
        (b"plan: \x00{}", "pushcast.yaml, character 7: not YAML"),
    ],
    ids=["BOM and CRLF", "a tab", "two documents", "a list", "an IPv6 address", "Latin-1", "a null character"],
)
def test_row_24_odd_files_are_read_or_refused_with_their_place(raw: bytes, said: str | None) -> None:
    Path("pushcast.yaml").write_bytes(raw)
    if said is None:
        assert load().plan.max_targets == 7
        return
    with pytest.raises(ConfigurationError) as caught:
        load()
    assert said in str(caught.value)
