"""`pushcast send` and `device import`: what would become a dead letter is refused, and an end that is none is said."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from pushcast.audit.follow import FollowedNotes
from pushcast.cli import build
from pushcast.config.settings import Settings
from pushcast.kafka.control import ControlUnreadable
from pushcast.model.errors import ConfigurationError
from pushcast.wire.answers.receipts import Planned
from pushcast.wire.control.control import Rate
from pushcast.wire.control.control_state import ControlState
from pushcast.wire.keys import user_of

GOOD = '{"id": "n", "user": "u1", "app": "news", "title": "Goal!"}'
TOKEN = "ab12" * 16


class Producer:
    """Keeps what it is given: (topic, user, event)."""

    written: list[tuple[str, str, dict[str, Any]]]

    def __init__(self, _: Settings) -> None:
        Producer.written = []

    def put(self, topic: str, user: str, value: bytes) -> None:
        self.written.append((topic, user_of(user.encode()), json.loads(value)))

    def __enter__(self) -> Producer:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to wait for."""


@pytest.fixture(autouse=True)
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "pushcast.yaml"
    path.write_text("apps: {news: {}, chat: {}}\nclasses: {breaking: {lane: urgent}}\n")
    monkeypatch.setenv("PUSHCAST_CONFIG", str(path))
    monkeypatch.setattr("pushcast.kafka.intake.IntakeProducer", Producer)


def call(*arguments: str, lines: str = "") -> Any:
    return CliRunner().invoke(build(("send", "device")), list(arguments), input=lines, catch_exceptions=False)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"id": "n", "user": "u1", "titel": "Goal!"}', "line 2: unknown_field: unknown field 'titel'"),
        ('{"id": "n", "user": "u1", "app": "nwes", "title": "x"}', "line 2: unknown_app"),
        ('{"id": "n", "user": "u1", "class": "braking", "title": "x"}', "line 2: unknown_class"),
        ('{"id": "n", "title": "x"}', "line 2: invalid_field: a line is an object with the field user"),
        ('{"id": "n", "user": "", "title": "x"}', "line 2: key_missing"),
        ("{", "line 2: not_json"),
        (
            '{"id": "n", "user": "u1", "data": ' + "[" * 300 + "]" * 300 + "}",
            "line 2: invalid_field: objects are nested",
        ),
    ],
)
def test_a_notification_that_would_be_a_dead_letter_is_refused_with_its_field(line: str, said: str) -> None:
    for options in ((), ("--dry-run",)):
        result = call("send", "-", *options, lines=f"{GOOD}\n{line}\n{GOOD}\n")
        assert said in result.stderr
        assert (result.exit_code, len(Producer.written)) == (1, 2)
    assert [user for _, user, _ in Producer.written] == ["u1", "u1"], "the others are written"


def test_an_option_that_is_not_utf8_is_told() -> None:
    result = call("send", "--user", "u1", "--title", "\udcff")
    assert "an option is not UTF-8" in result.stderr
    assert result.exit_code == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"op": "regster"}, "`$.op`"),
        ({"token": "zz"}, "token"),
        ({"platform": None}, "register needs platform"),
        ({"app": "nwes"}, "unknown_app"),
    ],
)
def test_a_device_change_that_would_be_a_dead_letter_is_refused(change: dict[str, str | None], said: str) -> None:
    good = {"op": "register", "user": "u1", "app": "news", "device": "d1", "platform": "apns", "token": TOKEN}
    bad = {name: value for name, value in {**good, **change}.items() if value is not None}
    result = call("device", "import", "-", "--output", "json", lines=f"{json.dumps(bad)}\n{json.dumps(good)}\n")
    assert said in result.stderr
    assert TOKEN not in result.stderr
    assert json.loads(result.stdout) == {"sent": 1, "refused": 1}
    assert result.exit_code == 1


@pytest.mark.parametrize("noun", [("send",), ("device", "import")])
def test_without_the_check_everything_that_names_a_user_is_written(noun: tuple[str, ...]) -> None:
    assert call(*noun, "-", "--no-check", lines='{"user": "u1", "titel": "x"}\n').exit_code == 0
    assert [event for _, _, event in Producer.written] == [{"titel": "x"}]


@pytest.mark.parametrize("more", [(), ("--dry-run",), ("--no-check",)])
def test_a_line_that_is_nested_too_deep_is_refused_and_the_others_are_written(more: tuple[str, ...]) -> None:
    deep = '{"id": "n", "user": "u2", "title": "x", "data": {"d": ' + '{"a":' * 300 + "1" + "}" * 302
    result = call("send", "-", *more, lines=f"{deep}\n{GOOD}\n")
    assert "line 1: invalid_field: objects are nested more than 64 deep" in result.stderr
    assert [user for _, user, _ in Producer.written] == ["u1"]


def test_the_class_chooses_the_lane() -> None:
    call("send", "-", lines='{"id": "n", "user": "u1", "class": "breaking", "title": "x"}\n')
    call_topic = Producer.written[0][0]
    assert call_topic == "push.notification.urgent.v1"


def test_an_app_that_is_not_configured_is_refused_as_elsewhere() -> None:
    with pytest.raises(ConfigurationError, match="no app 'nwes' in the configuration; apps are: chat, news"):
        call("send", "--user", "u1", "--app", "nwes", "--title", "x", "--wait")


def test_options_that_a_file_would_override_are_refused() -> None:
    assert call("send", "-", "--user", "u2", lines=GOOD).exit_code == 2


def test_a_dry_run_of_a_file_makes_a_dry_run_of_each_line() -> None:
    lines = [
        {"id": "a", "user": "u1", "title": "x"},
        {"id": "b", "user": "u1", "title": "x", "options": None},
        {"id": "c", "user": "u1", "title": "x", "options": {"priority": "high", "dry_run": False}},
    ]
    assert call("send", "-", "--dry-run", lines="\n".join(map(json.dumps, lines))).exit_code == 0
    assert [event["options"] for _, _, event in Producer.written] == [
        {"dry_run": True},
        {"dry_run": True},
        {"priority": "high", "dry_run": True},
    ]


def test_a_dry_run_refuses_lines_that_are_no_notification() -> None:
    result = call("send", "-", "--dry-run", lines='{\n[1]\n{"id": "n", "user": "u1", "title": "x", "options": "y"}\n')
    assert result.exit_code == 1
    assert json.loads(call("send", "-", "--dry-run", "--output", "json", lines="{").stdout)["refused"] == 1
    assert Producer.written == []


def followed(monkeypatch: pytest.MonkeyPatch, fill: Any) -> Any:
    def follow(_: Settings, wanted: set[tuple[str, str]], *__: object) -> FollowedNotes:
        books = FollowedNotes(wanted)
        fill(books)
        return books

    monkeypatch.setattr("pushcast.audit.follow.follow", follow)
    return call("send", "-", "--wait", "--output", "json", lines=GOOD)


def _planned(count: int) -> Planned:
    planned = Planned("normal")
    planned.add(4, "n", {"fcm": count})
    return planned


def _receipt(delivery: str, outcome: str) -> dict[str, Any]:
    source = {"lane": "normal", "source": 0, "source_partition": 1, "source_offset": 4}
    return {"user": "u1", "notification_id": "n", "delivery_id": delivery, "outcome": outcome, "run": 0, **source}


@pytest.mark.parametrize(
    ("planned", "outcomes", "finished", "code"),
    [
        (1, ["accepted"], True, 0),
        (2, ["accepted"], False, 1),
        (2, ["accepted", "invalid"], True, 1),
        (0, [], True, 1),
    ],
)
def test_waiting_succeeds_only_when_every_delivery_was_accepted(
    monkeypatch: pytest.MonkeyPatch, planned: int, outcomes: list[str], finished: bool, code: int
) -> None:
    def fill(books: FollowedNotes) -> None:
        books.planned(1, _planned(planned))
        for number, outcome in enumerate(outcomes):
            books.receipt(_receipt(str(number), outcome))

    result = followed(monkeypatch, fill)
    shown = json.loads(result.stdout)
    assert (shown["finished"], shown["planned"], shown["ended"]) == (finished, planned, len(outcomes))
    assert result.exit_code == code
    assert finished or f"{planned} planned, {len(outcomes)} ended" in result.stderr


def test_a_dead_letter_ends_the_wait_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    headers = [("push.errors.reason", b"unknown_class"), ("__streams.errors.message", b"class 'x' is not configured")]

    def fill(books: FollowedNotes) -> None:
        books.dead_letter(b"u2", b'{"id": "n"}', headers)
        books.dead_letter(b"u1", b"\xc3\x01 not ours", headers)
        assert not books.finished
        books.dead_letter(b"u1", b'{"id": "n"}', headers)

    result = followed(monkeypatch, fill)
    shown = json.loads(result.stdout)
    assert shown["finished"]
    assert [(row["id"], row["reason"]) for row in shown["dead_letters"]] == [("n", "unknown_class")]
    assert result.exit_code == 1


def test_t3_a_spread_on_the_urgent_lane_is_refused_whoever_chose_the_lane() -> None:
    urgent = '{"id": "n", "user": "u1", "class": "breaking", "title": "x", "spread_seconds": 60}\n'
    assert "spread_seconds" in call("send", "-", lines=urgent).stderr
    assert "spread_seconds" in call("send", "-", "--lane", "urgent", lines=urgent.replace("breaking", "default")).stderr
    assert Producer.written == []
    assert call("send", "-", "--lane", "bulk", lines=urgent).exit_code == 0


@pytest.fixture
def paced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "pushcast.yaml"
    path.write_text("classes: {promo: {per_minute: 10, ttl_seconds: 60}}\ncampaigns: {xmas: {per_minute: 600}}\n")
    monkeypatch.setenv("PUSHCAST_CONFIG", str(path))


def promo(number: int, **more: str) -> str:
    return json.dumps({"id": f"n-{number}", "user": "u1", "class": "promo", "title": "x", **more}) + "\n"


@pytest.mark.usefixtures("paced")
def test_a7_a_rate_at_which_some_expire_is_told() -> None:
    result = call("send", "-", "--output", "json", lines="".join(map(promo, range(15))))
    assert "5 of 15 notifications expire before they may leave: the rate of class promo is 10 a minute" in result.stderr
    [told] = json.loads(result.stdout)["too_slow"]
    assert (told["rate"], told["late"], result.exit_code) == ("class/promo", 5, 0)
    assert len(Producer.written) == 15, "they are written all the same"


@pytest.mark.usefixtures("paced")
def test_a7_what_pushcast_pace_has_said_counts_before_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    state = ControlState()
    monkeypatch.setattr("pushcast.kafka.switchboard.read_state", lambda _: state)
    lines = "".join(promo(number, campaign="xmas") for number in range(15))
    assert call("send", "-", lines=lines).stderr == ""
    state.paces["xmas"] = Rate(5, "ann", "")
    assert "10 of 15 notifications expire" in call("send", "-", lines=lines).stderr


@pytest.mark.usefixtures("paced")
def test_a7_who_may_not_read_the_control_topic_sends_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Settings) -> ControlState:
        raise ControlUnreadable("not authorized")

    monkeypatch.setattr("pushcast.kafka.switchboard.read_state", refuse)
    result = call("send", "-", lines=promo(1, campaign="xmas"))
    assert (result.exit_code, len(Producer.written)) == (0, 1)
    assert "rates are taken from the configuration alone: not authorized" in result.stderr


def test_people_see_whose_an_end_without_a_device_is_and_why_nothing_was_planned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They saw `None None: suppressed no_devices`, and of a duplicate nothing but exit code 1."""
    ended = {"notification_id": "n", "platform": None, "device": None, "outcome": "suppressed", "reason": "no_devices"}
    reached = {**ended, "platform": "apns", "device": "d-1", "outcome": "accepted", "reason": None}
    told = {"receipts": [ended, reached], "not_planned": {"m": "duplicate"}}
    followed = SimpleNamespace(all_accepted=False, held={}, finished=True, to_dict=lambda: told)
    monkeypatch.setattr("pushcast.audit.follow.follow", lambda *_: followed)
    result = call("send", "--user", "u1", "--title", "x", "--wait")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[1:] == [
        "  n, no device: suppressed no_devices",
        "  apns d-1: accepted",
        "  m: nothing was planned, duplicate",
    ]


def test_of_no_lines_nothing_is_printed() -> None:
    assert call("send", "-", lines="").stdout == ""


@pytest.mark.parametrize(
    ("noun", "event", "said"),
    [
        (("device", "import"), {"op": "regster", "app": "news"}, "it is one of register, refresh, "),
        (
            ("device", "import"),
            {"op": "register", "platform": "apnz"},
            "one of apns, fcm, expo, webpush - at `$.platform`",
        ),
        (
            ("send",),
            {"id": "n", "title": "x", "options": {"priority": "top"}},
            "one of high, normal - at `$.options.priority`",
        ),
    ],
)
def test_a_word_that_is_not_taken_is_refused_with_those_that_are(
    noun: tuple[str, ...], event: dict[str, Any], said: str
) -> None:
    result = call(*noun, "-", lines=json.dumps({"user": "u1", **event}) + "\n")
    assert said in result.stderr
    assert not any(word in result.stderr for word in ("regster", "apnz", "'top'")), "a value may be a token"
