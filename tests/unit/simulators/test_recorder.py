from __future__ import annotations

import time

import pytest

from pushcast.http2.server_hpack import Shape
from pushcast.simulators.latency import LatencyHistogram
from pushcast.simulators.recorder import Recorder, group_of, marker_ms


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"aps":{},"pushcast_at_ms":1700000000123}', 1_700_000_000_123.0),
        (b'{"pushcast_at_ms": 1700000000123, "x":1}', 1_700_000_000_123.0),
        (b'{"data":{"pushcast_at_ms":"1700000000123","b":"1"}}', 1_700_000_000_123.0),
        (b'{"data":{"pushcast_at_ms" : "1700000000123"}}', 1_700_000_000_123.0),
        (b'{"pushcast_at_ms":"yesterday"}', 0.0),
        (b'{"pushcast_at_ms":', 0.0),
        (b"{}", 0.0),
    ],
)
def test_the_producers_time_is_found_without_parsing(body: bytes, expected: float) -> None:
    assert marker_ms(body) == expected


def test_copies_are_counted_per_token_and_body() -> None:
    recorder = Recorder()
    for token, body in [(b"a", b"1"), (b"a", b"1"), (b"a", b"2"), (b"b", b"1"), (b"a", b"1")]:
        recorder.accept(token, body)
    summary = recorder.summary()
    assert (summary["accepted"], summary["duplicates"], summary["copies_tracked"]) == (5, 2, 3)
    assert sorted(recorder.copies().values()) == [1, 1, 3]


def test_beyond_the_bound_pairs_go_untracked_and_it_says_so() -> None:
    recorder = Recorder(max_copies=2)
    for token in (b"a", b"b", b"c", b"c", b"a"):
        recorder.accept(token, b"1")
    summary = recorder.summary()
    assert (summary["accepted"], summary["duplicates"], summary["copies_complete"]) == (5, 1, False)
    off = Recorder(max_copies=0)
    off.accept(b"a", b"1")
    assert off.summary()["copies_tracked"] == 0


def test_the_log_keeps_the_newest_and_hides_credentials() -> None:
    recorder = Recorder(max_deliveries=2)
    shape = Shape(((b":path", b"/x"), (b"authorization", b"bearer secret")))
    for stream_id in (1, 3, 5):
        recorder.log(1.0, 7, stream_id, shape, (), b"{}", "200")
    entries = recorder.deliveries()
    assert [entry["stream"] for entry in entries] == [3, 5]
    assert "secret" not in str(entries)
    assert [entry["sequence"] for entry in recorder.deliveries(since=2)] == [3]


def test_latency_is_from_the_marker_to_the_answer() -> None:
    recorder = Recorder()
    recorder.answered(time.time() * 1000 - 5_000)
    assert recorder.latency.summary()["p50"] == pytest.approx(5_000, rel=0.05)


def test_verdict_labels_are_bounded() -> None:
    recorder = Recorder()
    for number in range(1_000):
        recorder.verdict(f"400 {number}")
    assert len(recorder.verdicts) == 200


def body(group: str, number: int = 0) -> bytes:
    at_ms = time.time() * 1000 - 5_000
    return b'{"data":{"pushcast_at_ms":"%d","pushcast_group":"%b","n":"%d"}}' % (at_ms, group.encode(), number)


def arrivals(recorder: Recorder) -> dict[str, int]:
    return {group: sum(shown["counts"].values()) for group, shown in recorder.summary()["arrivals"].items()}


def test_the_group_of_a_payload_is_a_word_beside_its_time() -> None:
    assert group_of(body("urgent")) == "urgent"
    assert group_of(b'{"pushcast_group": "a", "x":1}') == "a"
    assert group_of(b"{}") == ""


def test_arrivals_are_counted_per_group_from_the_time_in_the_payload() -> None:
    recorder = Recorder()
    for token, group in [(b"a", "urgent"), (b"b", "urgent"), (b"a", "flood")]:
        recorder.accept(token, body(group))
    recorder.accept(b"c", b'{"pushcast_at_ms":"1"}')
    assert arrivals(recorder) == {"urgent": 2, "flood": 1}
    merged = LatencyHistogram()
    for shown in recorder.summary()["arrivals"].values():
        merged.merge(shown["counts"], shown["max_ms"])
    assert merged.count == 3
    assert merged.quantile_ms(0.5) == pytest.approx(5_000, rel=0.05)


def test_a_push_arrives_once_though_it_is_refused_sent_again_and_copied() -> None:
    recorder = Recorder()
    refused, taken = body("urgent", 1), body("urgent", 2)
    for _ in range(2):
        recorder.refuse(b"a", refused)
    for _ in range(2):
        recorder.accept(b"a", refused)
        recorder.accept(b"a", taken)
    assert arrivals(recorder) == {"urgent": 2}
