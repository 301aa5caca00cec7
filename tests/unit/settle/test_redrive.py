from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from pushcast.config.settings import Settings
from pushcast.model.errors import ConfigurationError, PushcastError
from pushcast.settle import redrive
from pushcast.settle.letters import Filter, offset_of
from pushcast.settle.manifest import Manifest
from pushcast.settle.redrive import DeadLetters, dead_letter_topics
from pushcast.settle.redrive_report import Report
from pushcast.wire.schemas import avro_type, lock, released_type
from pushcast.wire.sending.batches import decode_batch, encode_batch
from unit.send.twin import T0, message, send_batch
from unit.settle.test_letters import NOTES, SEND

REASON = ("push.errors.reason", b"provider_error")


class TwinMessage:
    """A record as confluent-kafka hands it over."""

    def __init__(
        self, topic: str, partition: int, offset: int, value: bytes, headers: list[tuple[str, bytes | None]]
    ) -> None:
        self._topic, self._partition, self._offset = topic, partition, offset
        self._value, self._headers = value, headers

    def topic(self) -> str:
        return self._topic

    def partition(self) -> int:
        return self._partition

    def offset(self) -> int:
        return self._offset

    def timestamp(self) -> tuple[int, int]:
        return 0, T0

    def key(self) -> None:
        return None

    def value(self) -> bytes:
        return self._value

    def headers(self) -> list[tuple[str, bytes | None]]:
        return self._headers


class TwinLogs:
    """One partition per topic; also the producer into them, which dies after so many records when told to."""

    def __init__(self) -> None:
        self.logs: dict[str, list[TwinMessage]] = {}
        self.dies_after: int | None = None
        self.failures: list[Exception] = []

    def append(self, topic: str, value: bytes, *headers: tuple[str, bytes | None]) -> None:
        log = self.logs.setdefault(topic, [])
        log.append(TwinMessage(topic, 0, len(log), value, list(headers)))

    def produce(
        self, topic: str, value: bytes, key: bytes | None, partition: int, _report: Any, *, headers: Any, **_: object
    ) -> None:
        if self.failures:
            raise self.failures.pop()
        if self.dies_after == 0:
            raise KeyboardInterrupt
        self.dies_after = None if self.dies_after is None else self.dies_after - 1
        self.append(topic, value, *headers)

    def poll(self, _: float) -> None:
        return

    def flush(self, _: float) -> int:
        return 0

    def close(self) -> None:
        return

    def filled(self, names: Collection[str]) -> list[tuple[str, int]]:
        return [(topic, 0) for topic in names if self.logs.get(topic)]

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        return 0, len(self.logs.get(topic, ()))

    def end(self, topic: str, partition: int) -> int:
        return self.bounds(topic, partition)[1]

    def offset_at(self, topic: str, partition: int, timestamp_ms: int) -> int:
        return 0

    def read(self, topic: str, partition: int, start: int | None = None) -> Iterator[TwinMessage]:
        yield from list(self.logs.get(topic, ()))[start or 0 :]

    def users(self, topic: str) -> list[str]:
        batches = [decode_batch(each.value()) for each in self.logs.get(topic, ())]
        return [user for batch in batches for part in batch.messages for user in part.targets.user]


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch) -> TwinLogs:
    twin = TwinLogs()
    monkeypatch.setattr(redrive, "Logs", lambda config: twin)
    monkeypatch.setattr(redrive, "open_producer", lambda client: twin)
    return twin


@pytest.fixture
def run(logs: TwinLogs, tmp_path: Path) -> Callable[..., Report]:
    def redriven(execute: bool = True, wanted: Filter | None = None) -> Report:
        with DeadLetters(Settings()) as dead:
            return dead.redrive(
                wanted or Filter(topics=frozenset([SEND])),
                Manifest(tmp_path / "redrive.json"),
                execute=execute,
                per_second=1e9,
                now_ms=lambda: T0,
            )

    return redriven


def letter(logs: TwinLogs, first_user: int, count: int = 1) -> None:
    logs.append(SEND + ".dlq", encode_batch(send_batch(message(count, first_user=first_user))), REASON)


def test_a_letter_that_the_client_does_not_take_is_told_and_the_others_go_on(
    logs: TwinLogs, run: Callable[..., Report]
) -> None:
    for user in range(3):
        letter(logs, user)
    logs.failures = [KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)), BufferError()]
    with pytest.raises(PushcastError, match=r"refused: .*too large"):
        run()
    assert logs.users(SEND) == ["u1", "u2"]
    assert run().redriven == 1
    assert sorted(logs.users(SEND)) == ["u0", "u1", "u2"]


def test_what_a_killed_run_had_written_is_remembered_by_every_later_run(
    logs: TwinLogs, run: Callable[..., Report]
) -> None:
    for user in range(3):
        letter(logs, user)
    logs.dies_after = 2
    with pytest.raises(KeyboardInterrupt):
        run()
    assert logs.users(SEND) == ["u0", "u1"]
    logs.dies_after = None
    assert run(execute=False).before == 2
    second = run()
    assert (second.redriven, second.before) == (1, 2)
    third = run()  # no receipt tells of them yet: they are under way
    assert (third.redriven, third.before) == (0, 3)
    assert logs.users(SEND) == ["u0", "u1", "u2"]


def test_what_a_killed_run_had_written_is_remembered_when_the_next_filter_leaves_it_out(
    logs: TwinLogs, run: Callable[..., Report]
) -> None:
    letter(logs, 0)
    logs.append(SEND + ".dlq", encode_batch(send_batch(message(first_user=1))), ("push.errors.reason", b"other"))
    logs.dies_after = 1
    with pytest.raises(KeyboardInterrupt):
        run()
    logs.dies_after = None
    assert run(wanted=Filter(topics=frozenset([SEND]), reasons=frozenset(["other"]))).redriven == 1
    assert run().redriven == 0
    assert logs.users(SEND) == ["u0", "u1"]


@pytest.mark.parametrize("letters_a_step", [500, 1])
def test_a_delivery_that_a_killed_sender_left_in_two_letters_goes_once(
    logs: TwinLogs, run: Callable[..., Report], monkeypatch: pytest.MonkeyPatch, letters_a_step: int
) -> None:
    monkeypatch.setattr(redrive, "STEP_LETTERS", letters_a_step)
    letter(logs, 0, 2)
    letter(logs, 1, 2)
    for execute in (False, True):
        report = run(execute=execute)
        assert (report.deliveries, report.left_out) == (3, {"in_another_letter": 1})
    assert logs.users(SEND) == ["u0", "u1", "u2"]


def test_a_record_that_is_invalid_itself_goes_only_when_its_reason_is_asked_for(
    logs: TwinLogs, run: Callable[..., Report]
) -> None:
    """faults.md P3-24: letters that cannot succeed were counted as redriven."""
    logs.append(NOTES + ".dlq", b"{", ("push.errors.reason", b"not_json"))
    logs.append(NOTES + ".dlq", b"{}", ("push.errors.reason", b"unknown_class"))
    report = run(wanted=Filter(topics=frozenset([NOTES])))
    assert (report.letters, report.redriven, report.invalid) == (2, 1, 1)
    report = run(wanted=Filter(topics=frozenset([NOTES]), reasons=frozenset(["not_json"])))
    assert (report.redriven, report.invalid) == (1, 0)


@pytest.mark.parametrize("version", range(1, len(lock()["send_batch"]) + 1))
def test_a_letter_of_every_release_is_redriven_whole(logs: TwinLogs, run: Callable[..., Report], version: int) -> None:
    """Rulings I.39: letters whose schema is of an earlier release."""
    batch = send_batch(message(3))
    datum = avro_type("send_batch").decode(encode_batch(batch))
    logs.append(SEND + ".dlq", released_type("send_batch", version).encode(datum), REASON)
    assert run().deliveries == 3
    [again] = map(decode_batch, (each.value() for each in logs.logs[SEND]))
    assert again.messages == batch.messages


def test_only_so_many_deliveries_are_remembered(
    logs: TwinLogs, run: Callable[..., Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redrive, "STEP_LETTERS", 1)
    monkeypatch.setattr(redrive, "MAX_TAKEN", 1)
    for user in (0, 1, 1, 0):
        letter(logs, user)
    run()
    assert logs.users(SEND) == ["u0", "u1", "u0"]


def test_a_name_of_another_place_is_no_letter_of_this_one() -> None:
    assert offset_of(b"a.dlq|3|17", "a.dlq", 3) == 17
    for name in (b"a.dlq|3|x", b"a.dlq|4|17", b"b.dlq|3|17", b"17", b""):
        assert offset_of(name, "a.dlq", 3) is None


def test_every_topic_with_dead_letters_is_looked_at_unless_some_are_named() -> None:
    every = dead_letter_topics(Filter())
    assert {SEND + ".dlq", NOTES + ".dlq", "push.retry.10s.v1.dlq"} <= set(every)
    assert dead_letter_topics(Filter(topics=frozenset([SEND]))) == [SEND + ".dlq"]
    with pytest.raises(PushcastError, match=r"push\.sent"):
        dead_letter_topics(Filter(topics=frozenset(["push.sent"])))


def test_a_manifest_remembers_letters_over_runs_in_few_words(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "redrive.json"
    manifest = Manifest(path)
    manifest.add("a.dlq", 3, [5, 4, 9])
    manifest.add("a.dlq", 3, [6, 4])
    manifest.ends["a", 3] = 17
    manifest.save()
    again = Manifest(path)
    assert [offset for offset in range(12) if again.holds("a.dlq", 3, offset)] == [4, 5, 6, 9]
    assert not again.holds("a.dlq", 2, 5)
    assert again.ends == {("a", 3): 17}
    assert json.loads(path.read_text())["done"] == {"a.dlq": {"3": [[4, 7], [9, 10]]}}


@pytest.mark.parametrize("text", ["", "{", '{"version": 9, "done": {}, "ends": {}}', '{"done": {}}'])
def test_a_file_that_is_no_manifest_is_refused_and_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "redrive.json"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=r"redrive\.json"):
        Manifest(path)
    assert path.read_text() == text
