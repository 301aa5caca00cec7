"""The settings tree: strict, in the order override, environment, file, default."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pushcast.config.classes import Class
from pushcast.config.settings import CONFIG_VARIABLE, OTHER_VARIABLES, Settings, load
from pushcast.kafka.embedded.environment import ENVIRONMENT_NAMES
from pushcast.model.errors import ConfigurationError
from pushcast.model.words import Lane


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No pushcast.yaml and no PUSHCAST_* of the machine that runs the tests."""
    for name in [name for name in os.environ if name.startswith("PUSHCAST_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(text: str) -> None:
    Path("pushcast.yaml").write_text(text)


def refusal() -> str:
    with pytest.raises(ConfigurationError) as caught:
        load()
    return str(caught.value)


def test_k3_the_keepers_caps_count_no_class_that_is_not_counted() -> None:
    classes = {"promo": {}, "order": {"counted": False, "caps": "ignore"}, "news": {"caps": "ignore"}}
    every = {"name": "all", "limit": 3, "window_seconds": 60}
    caps = [every, {**every, "name": "some", "classes": ["order", "news"]}]
    settings = Settings.model_validate({"classes": classes, "caps": caps})
    every_rule, some = settings.cap_rules
    assert [name for name in classes if every_rule.counts(name, "news")] == ["promo", "news"]
    assert [name for name in classes if some.counts(name, "news")] == ["news"]


def test_variables_that_other_parts_read_are_the_embedded_kafkas_and_the_files() -> None:
    # config lies below kafka in the layer law, so it cannot import the names
    assert ENVIRONMENT_NAMES | {"PUSHCAST_CONFIG"} == OTHER_VARIABLES
    assert CONFIG_VARIABLE == "PUSHCAST_CONFIG"


def test_defaults_need_no_file() -> None:
    settings = load()
    assert settings.kafka.partitions == 8
    assert (settings.plan.max_targets, settings.plan.max_batch_bytes) == (500, 524_288)
    assert settings.classes["default"].window_seconds == 0.05


def test_a_file_is_read_from_the_folder_or_from_where_the_variable_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("plan: {max_targets: 7}")
    assert load().plan.max_targets == 7
    other = tmp_path / "other.yaml"
    other.write_text("plan: {max_targets: 9}")
    monkeypatch.setenv("PUSHCAST_CONFIG", str(other))
    assert load().plan.max_targets == 9


def test_an_override_beats_the_environment_which_beats_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    write("kafka: {bootstrap_servers: 'file:1', partitions: 4}")
    monkeypatch.setenv("PUSHCAST_KAFKA__BOOTSTRAP_SERVERS", "environment:1")
    settings = load()
    assert (settings.kafka.bootstrap_servers, settings.kafka.partitions) == ("environment:1", 4)
    assert load(kafka={"bootstrap_servers": "override:1"}).kafka.bootstrap_servers == "override:1"


def test_an_unknown_variable_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUSHCAST_KAFAK__BOOTSTRAP_SERVERS", "x:1")
    assert "PUSHCAST_KAFAK__BOOTSTRAP_SERVERS" in refusal()


def test_an_unknown_key_within_a_known_section_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUSHCAST_KAFKA__SERVERS", "x:1")
    assert "kafka.servers" in refusal()


@pytest.mark.parametrize("name", sorted(ENVIRONMENT_NAMES))
def test_variables_of_the_embedded_kafka_are_let_through(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "anything")
    load()


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("plna: {}", "plna"),
        ("plan: {max_target: 1}", "plan.max_target"),
        ("plan: {max_targets: 1001}", "plan.max_targets"),
        ("plan: {max_targets: 0}", "plan.max_targets"),
        ("plan: {max_batch_bytes: 524289}", "plan.max_batch_bytes"),
        ("classes: {Bad Name: {}}", "classes"),
        ("classes: {a: {window_min_seconds: 1}}", "both"),
        ("classes: {a: {window_max_seconds: 1}}", "both"),
        ("classes: {a: {window_min_seconds: 2, window_max_seconds: 1}}", "less than"),
        ("classes: {a: {window_seconds: 1, window_min_seconds: 1, window_max_seconds: 2}}", "either"),
        ("classes: {a: {window_seconds: -1}}", "classes.a.window_seconds"),
        ("classes: {a: {window_min_seconds: .nan, window_max_seconds: 2}}", "classes.a.window_min_seconds"),
        ("classes: {a: {window_seconds: .inf}}", "classes.a.window_seconds"),
        ("classes: {a: {ttl_seconds: -1}}", "classes.a.ttl_seconds"),
        ("classes: {a: {ttl_seconds: 2419201}}", "classes.a.ttl_seconds"),
        ("classes: {a: {lane: fast}}", "classes.a.lane"),
        ("apps: {news: {apsn: {}}}", "apps.news.apsn"),
    ],
)
def test_what_is_wrong_is_refused_and_named(text: str, key: str) -> None:
    write(text)
    assert key in refusal()


def test_a_refusal_shows_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUSHCAST_KAFKA__PARTITIONS", "s3cret")
    message = refusal()
    assert "kafka.partitions" in message
    assert "s3cret" not in message


def test_a_file_that_is_named_and_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUSHCAST_CONFIG", "nowhere.yaml")
    assert "nowhere.yaml is not a file" in refusal()


def test_a_file_that_is_not_yaml_is_refused() -> None:
    write("kafka: {partitions: 8}\nplan: {s3cret: 'x' 'y'")
    message = refusal()
    assert message.startswith("configuration refused: pushcast.yaml, line 2, column ")
    assert "s3cret" not in message


def test_an_empty_variable_is_as_if_it_were_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUSHCAST_KAFKA__PARTITIONS", "")
    assert load().kafka.partitions == 8


def test_classes_of_the_file_are_kept_and_a_default_class_is_always_there() -> None:
    write("classes: {breaking: {lane: urgent, window_seconds: 0, ttl_seconds: 3600}}")
    classes = load().classes
    assert classes["breaking"] == Class(lane=Lane.URGENT, window_seconds=0, ttl_seconds=3600)
    assert classes["default"].window_seconds == 0.05


def test_one_loads_default_class_is_not_in_the_next() -> None:
    load().classes["default"]
    assert Settings.model_fields["classes"].default == {}


def test_settings_do_not_change_once_loaded() -> None:
    settings = load()
    with pytest.raises(ValueError, match="frozen"):
        settings.plan.max_targets = 3


DIGEST = {"first": "send", "window_seconds": 7_200}


@pytest.mark.parametrize(
    ("seconds", "digest", "said"),
    [
        (3_599, None, "greater than or equal to 3600"),
        (604_801, None, "less than or equal to 604800"),
        (7_199, DIGEST, "classes.posts.digest gathers.*Set at least 7200"),
        (86_399, {"first": "send", "at": ["08:00"]}, "Set at least 86400"),
        (7_200, DIGEST, None),
        (3_600, {**DIGEST, "first": "wait"}, None),
        (86_400, {**DIGEST, "window_seconds": 604_800}, None),
    ],
)
def test_what_left_is_not_forgotten_while_a_digest_that_it_opened_gathers(
    seconds: int, digest: dict[str, Any] | None, said: str | None
) -> None:
    tree = {"keep": {"remember_seconds": seconds}, "classes": {"posts": {"digest": digest}}}
    if said is None:
        assert Settings.model_validate(tree).keep.remember_seconds == seconds
        return
    with pytest.raises(ValidationError, match=said):
        Settings.model_validate(tree)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"url": "http://crm.example/push"}, "url must be https"),
        ({"url": "https://127.0.0.1/", "allowed_hosts": ["127.0.0.1"]}, "url must be https"),
        ({"url": "https://[::ffff:10.0.0.1]/", "allowed_hosts": ["::ffff:10.0.0.1"]}, "url must be https"),
        ({"url": "https://169.254.169.254/latest", "allowed_hosts": ["169.254.169.254"]}, "url must be https"),
        ({"url": "https://0x7f000001/", "allowed_hosts": ["0x7f000001"]}, "url must be https"),
        ({"url": "https://2130706433/", "allowed_hosts": ["2130706433"]}, "url must be https"),
        ({"url": "https://localhost/", "allowed_hosts": ["localhost"]}, "url must be https"),
        ({"url": "https://user@crm.example/"}, "url must be https"),
        ({"url": "https://other.example/"}, "not in allowed_hosts"),
        ({"url": "https://crm.example.evil.example/"}, "not in allowed_hosts"),
        ({"url": "https://crm.example:99999/push"}, "no number from 1 to 65535"),
        ({"url": "https://crm.example:0/push"}, "port 0"),
        ({"url": "https://crm.example/\tpush"}, "control character"),
        ({"url": "https://crm.example/push\n"}, "control character"),
        ({"url": " https://crm.example/push"}, "white space"),
        ({"events": []}, "events"),
        ({"events": ["deliveries.begun"]}, "events"),
        ({"timeout_seconds": 31}, "timeout_seconds"),
    ],
)
def test_w3_a_webhook_that_could_reach_ours_is_refused(changed: dict[str, Any], said: str) -> None:
    tree = {
        "url": "https://crm.example/push",
        "secret_file": "crm.whsec",
        "events": ["deliveries.ended"],
        "allowed_hosts": ["crm.example"],
    }
    assert Settings.model_validate({"webhooks": {"crm": tree}}).webhooks["crm"].timeout_seconds == 15
    with pytest.raises(ValidationError, match=said):
        Settings.model_validate({"webhooks": {"crm": tree | changed}})
