"""Files and variables that YAML, JSON or Kubernetes make something else of than somebody meant."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pushcast.config.reading import MAX_DEPTH
from pushcast.config.settings import load
from pushcast.model.errors import ConfigurationError


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No pushcast.yaml and no PUSHCAST_* of the machine that runs the tests."""
    for name in [name for name in os.environ if name.startswith("PUSHCAST_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def refusal(text: str = "") -> str:
    Path("pushcast.yaml").write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load()
    return str(caught.value)


BILLION = "apps:\n  a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"  {after}: &{after} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, after in zip("abcdefgh", "bcdefghi", strict=True)
)
#: No node of it is deeper than three levels by itself.
STAIRS = "apps:\n  a0: &a0 [x]\n" + "".join(f"  a{at}: &a{at} [*a{at - 1}]\n" for at in range(1, 2000))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "kafka: " + "[" * 3000 + "]" * 3000,
            f"line 1, column {7 + MAX_DEPTH}: not YAML: more than {MAX_DEPTH} levels",
        ),
        ("kafka: " + "{a: " * 1000 + "1" + "}" * 1000, f"more than {MAX_DEPTH} levels"),
        (STAIRS, f"with its aliases this is more than {MAX_DEPTH} levels"),
        (BILLION, "with its aliases this is more than 250000 values"),
        ("kafka: &a\n  partitions: *a\n", "line 2, column 15: not YAML: the alias *a stands within what it names"),
        ("caps: &a [*a]", "the alias *a stands within what it names"),
        ("&a {kafka: *a}", "the alias *a stands within what it names"),
    ],
    ids=["lists", "mappings", "stairs of aliases", "a billion", "within itself", "a list in itself", "all of it"],
)
def test_a_file_that_yaml_would_not_come_to_an_end_with_is_refused_with_its_place(text: str, said: str) -> None:
    assert said in refusal(text)


@pytest.mark.parametrize("key", ["1", "~", "on", "no", "2026-01-01", "1.5"])
@pytest.mark.parametrize("within", ["{}: x", "campaigns: {{{}: {{per_minute: 1}}}}"], ids=["section", "campaign"])
def test_a_key_that_is_no_text_to_yaml_is_named_as_it_stands_there(key: str, within: str) -> None:
    assert f"the key '{key}' is no text as YAML reads it; put it in quotes" in refusal(within.format(key))


@pytest.mark.parametrize(
    "value", ["2026-13-45", "!!int s3cret", "!!float s3cret", "!!bool s3cret", "!!timestamp s3cret", "9" * 5000]
)
def test_what_only_looks_like_one_of_yamls_values_is_refused_with_its_place_and_not_shown(value: str) -> None:
    message = refusal(f"plan:\n  max_targets: {value}\n")
    assert "pushcast.yaml, line 2, column 16: not YAML: this looks like one of YAML's" in message
    assert "s3cret" not in message


@pytest.mark.parametrize("text", ["a\\0b", "\\ud800", "\\ud83d\\ude00"])
def test_text_that_no_file_system_or_encoding_takes_is_refused_where_it_stands(text: str) -> None:
    assert "line 1, column 11: not YAML: a null character, or half of" in refusal(f'data_dir: "{text}"')


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("kafka: {partitions: yes}", "kafka.partitions"),
        ("observe: {port: true}", "observe.port"),
        ("send: {slow_seconds: on}", "send.slow_seconds"),
        ("caps: [{name: a, limit: yes, calendar: day}]", "caps.0.limit"),
        ("apps: {news: {per_minute: true}}", "apps.news.per_minute"),
    ],
)
def test_yes_is_no_number(text: str, name: str) -> None:
    assert f"{name}: is yes or no" in refusal(text)


def test_switches_take_yes_and_no() -> None:
    Path("pushcast.yaml").write_text("flood: {enabled: no}\nobserve: {log_json: yes}\n")
    assert (load().flood.enabled, load().observe.log_json) == (False, True)


def test_an_anchor_that_is_merged_further_up_than_it_stands_has_no_key_twice() -> None:
    # YAML's reader writes merged keys into the mapping that has the anchor, and reads deeper ones later
    text = "apps: {a: {apns: &deep {<<: {topic: x, key_id: ABCDE12345}, topic: y}}}\nkafka: {<<: *deep}\n"
    message = refusal(text)
    assert "second time" not in message
    assert "kafka.topic: unknown key" in message


def test_every_unknown_variable_is_named_beside_what_is_wrong_in_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUSHCAST_KAFAK__PARTITIONS", "1")
    monkeypatch.setenv("PUSHCAST_KAFKA_BOOTSTRAP_SERVERS", "a:1")
    message = refusal("plan: {max_targets: 0}")
    assert "PUSHCAST_KAFAK__PARTITIONS: there is no setting of this name; did you mean KAFKA?" in message
    assert "PUSHCAST_KAFKA_BOOTSTRAP_SERVERS: there is no setting of this name; between KAFKA and its key" in message
    assert "plan.max_targets: " in message


@pytest.mark.parametrize("name", ["GATEWAY_PORT", "GATEWAY_SERVICE_HOST", "GATEWAY_PORT_80_TCP_ADDR", "SERVICE_PORT"])
def test_a_variable_that_kubernetes_makes_of_a_service_says_what_to_do(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"PUSHCAST_{name}", "tcp://10.0.0.1:80")
    assert "enableServiceLinks: false" in refusal()


@pytest.mark.parametrize("name", ["PUSHCAST_CAPS", "PUSHCAST_KAFKA", "PUSHCAST_RETRY__RUNGS_SECONDS"])
def test_a_variable_that_is_no_json_is_named_and_not_shown(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "s3cret")
    assert refusal() == f"configuration refused:\n  {name}: is no JSON, as a section or a list must be"


def test_a_variable_of_a_thousand_levels_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUSHCAST_APPS", "[" * 100_000)
    assert "nested too deeply" in refusal()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("schemas: {registry_url: 'http://user:hunter2'}", "schemas.registry_url"),
        (
            "apps: {news: {fcm: {service_account_file: f, project_id: news-1234, proxy: {url: 'http://u:hunter2'}}}}",
            "apps.news.fcm.proxy.url",
        ),
        (
            "webhooks: {a: {url: 'https://u:hunter2', secret_file: f, events: [tokens.invalid], allowed_hosts: [u]}}",
            "webhooks.a",
        ),
    ],
)
def test_a_password_that_stands_where_a_port_is_expected_is_not_shown(text: str, name: str) -> None:
    message = refusal(text)
    assert f"{name}: " in message
    assert "its port is no number from 1 to 65535" in message
    assert "hunter2" not in message


@pytest.mark.parametrize("url", ["ftp://x", "registry:8081", "http://", "http://a b", "http://a\\tb"])
def test_a_registry_that_cannot_be_asked_is_refused_before_a_role_starts(url: str) -> None:
    assert "schemas.registry_url: must be an http:// or https:// URL" in refusal(f'schemas: {{registry_url: "{url}"}}')
