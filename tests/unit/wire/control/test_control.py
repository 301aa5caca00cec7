from __future__ import annotations

import logging

import pytest

from pushcast.model.audience import FollowedTopic, Locale
from pushcast.model.errors import InvalidInput
from pushcast.model.words import Lane, Platform
from pushcast.wire.control.control import (
    BreakerRecord,
    Halt,
    Kind,
    Name,
    Pause,
    Reached,
    SegmentRecord,
    Subject,
    encode,
    reached,
)
from pushcast.wire.control.control_reader import decode, parse_key
from pushcast.wire.control.control_state import MAX_ENTRIES, MAX_WINDOWS, ControlChange, ControlEvent, ControlState

APNS = Platform.APNS
PAUSE_ALL = Subject(Kind.PAUSE, "news", APNS)
PAUSE_BULK = Subject(Kind.PAUSE, "news", APNS, Lane.BULK)
BREAKER = Subject(Kind.BREAKER, "news", APNS)


def opened(since: int = 100, at: int = 150, by: str = "") -> BreakerRecord:
    return BreakerRecord("open", "provider_unavailable", since, at, by=by)


def closed(since: int = 100, at: int = 150, closed_at: int = 200) -> BreakerRecord:
    return BreakerRecord("closed", "provider_unavailable", since, at, closed_at)


def live() -> tuple[ControlState, list[ControlChange]]:
    state = ControlState()
    changes: list[ControlChange] = []
    state.live = True
    state.subscribe(changes.append)
    return state, changes


def put(state: ControlState, subject: Subject, entry: Pause | BreakerRecord | None) -> ControlChange | None:
    return state.apply(subject.key(), None if entry is None else encode(entry))


@pytest.mark.parametrize("subject", [PAUSE_ALL, PAUSE_BULK, BREAKER, Subject(Kind.BREAKER, "a.b-c_9", Platform.FCM)])
def test_a_key_reads_back_as_what_it_was_written_from(subject: Subject) -> None:
    assert parse_key(subject.key()) == subject


def test_keys_are_words_for_people_too() -> None:
    assert (PAUSE_ALL.key(), PAUSE_BULK.key()) == (b"pause/news/apns/*", b"pause/news/apns/bulk")
    assert BREAKER.key() == b"breaker/news/apns"


@pytest.mark.parametrize(
    "key",
    [
        b"pause/news/apns",
        b"pause/news/apns/slow",
        b"pause/news/smoke/*",
        b"breaker/news/apns/*",
        b"breaker//apns",
        b"breaker/News/apns",
        b"breaker/a/b/apns",
        b"revoke/news/apns",
        b"\xff",
    ],
)
def test_other_keys_are_refused(key: bytes) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_key(key)
    assert caught.value.reason == "key_invalid"


@pytest.mark.parametrize("entry", [Pause(5), Pause(5, "ann", "why"), opened(), closed()])
def test_a_value_reads_back_as_what_it_was_written_from(entry: Pause | BreakerRecord) -> None:
    assert decode(PAUSE_ALL if isinstance(entry, Pause) else BREAKER, encode(entry)) == entry


@pytest.mark.parametrize(
    ("subject", "value", "reason"),
    [
        (PAUSE_ALL, b"{}", "invalid_field"),
        (PAUSE_ALL, b'{"since_ms":"5"}', "invalid_field"),
        (PAUSE_ALL, b'{"since_ms":-1}', "invalid_field"),
        (PAUSE_ALL, b'{"since_ms":5,"until":6}', "unknown_field"),
        (PAUSE_ALL, b"\xff", "not_json"),
        (BREAKER, b'{"state":"ajar","reason":"x","abnormal_since_ms":1,"opened_at_ms":1}', "invalid_field"),
        (BREAKER, b'{"state":"open","reason":"A b","abnormal_since_ms":1,"opened_at_ms":1}', "invalid_field"),
        (BREAKER, b'{"state":"closed","reason":"x","abnormal_since_ms":1,"opened_at_ms":1}', "invalid_field"),
        (BREAKER, encode(BreakerRecord("open", "x", 1, 1, 2)), "invalid_field"),
    ],
)
def test_a_malformed_value_is_ignored_and_counted_and_logged_once(
    subject: Subject, value: bytes, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    state, changes = live()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert state.apply(subject.key(), value) is None
    assert (state.ignored, changes, len(caplog.records)) == ({reason: 3}, [], 1)
    assert not state.held("news", APNS, Lane.BULK)


def test_a_pause_holds_its_lane_and_a_general_one_every_lane() -> None:
    state, changes = live()
    put(state, PAUSE_BULK, Pause(5))
    assert [state.paused("news", APNS, lane) for lane in Lane] == [False, False, True]
    put(state, PAUSE_ALL, Pause(6))
    assert all(state.paused("news", APNS, lane) for lane in Lane)
    assert not state.paused("news", Platform.FCM, Lane.BULK)
    assert not state.paused("chat", APNS, Lane.BULK)
    put(state, PAUSE_ALL, None)
    assert [state.paused("news", APNS, lane) for lane in Lane] == [False, False, True]
    put(state, PAUSE_BULK, None)
    assert not any(state.paused("news", APNS, lane) for lane in Lane)
    assert changes == [
        ControlChange(ControlEvent.PAUSED, "news", APNS, Lane.BULK),
        ControlChange(ControlEvent.PAUSED, "news", APNS),
        ControlChange(ControlEvent.RESUMED, "news", APNS),
        ControlChange(ControlEvent.RESUMED, "news", APNS, Lane.BULK),
    ]


def test_what_changes_nothing_is_told_to_nobody() -> None:
    state, changes = live()
    for entry in (None, Pause(5), Pause(5), Pause(5, comment="other")):
        put(state, PAUSE_ALL, entry)
    assert changes == [ControlChange(ControlEvent.PAUSED, "news", APNS)]
    assert state.pauses[PAUSE_ALL].comment == "other"
    put(state, BREAKER, opened())
    put(state, BREAKER, opened(by="another sender"))
    assert changes[1:] == [ControlChange(ControlEvent.OPENED, "news", APNS)]


def test_what_is_there_at_the_start_is_told_to_nobody() -> None:
    state, changes = live()
    state.live = False
    put(state, PAUSE_ALL, Pause(5))
    assert changes == []
    assert state.paused("news", APNS, Lane.URGENT)


def test_an_open_breaker_holds_every_lane_until_it_closes() -> None:
    state, changes = live()
    assert state.breaker("news", APNS) is None
    put(state, BREAKER, opened())
    assert state.held("news", APNS, Lane.URGENT)
    assert not state.paused("news", APNS, Lane.URGENT)
    put(state, BREAKER, closed())
    assert not state.held("news", APNS, Lane.URGENT)
    put(state, BREAKER, closed(closed_at=250))
    assert [change.event for change in changes] == [ControlEvent.OPENED, ControlEvent.CLOSED, ControlEvent.CLOSED]


def test_an_opening_by_another_sender_moves_the_window_only_back() -> None:
    state, changes = live()
    put(state, BREAKER, opened(since=100, at=150))
    put(state, BREAKER, opened(since=120, at=140))
    assert state.breaker("news", APNS) == opened(since=100, at=150)
    put(state, BREAKER, opened(since=80, at=160))
    assert state.breaker("news", APNS) == opened(since=80, at=150)
    assert [change.event for change in changes] == [ControlEvent.OPENED, ControlEvent.OPENED]


def test_a_verdict_from_within_an_abnormal_window_is_not_believed_afterwards_either() -> None:
    state, _ = live()
    put(state, BREAKER, opened(since=100))
    assert [state.abnormal("news", APNS, at) for at in (99, 100, 10**9)] == [False, True, True]
    put(state, BREAKER, closed(since=100, closed_at=200))
    put(state, BREAKER, opened(since=300, at=350))
    put(state, BREAKER, BreakerRecord("closed", "x", 300, 350, 400))
    at = (99, 100, 200, 201, 299, 300, 400, 401)
    assert [state.abnormal("news", APNS, each) for each in at] == [False, True, True, False, False, True, True, False]
    assert not state.abnormal("chat", APNS, 150)


def test_a_window_whose_opening_was_compacted_away_is_known_from_its_end() -> None:
    state, _ = live()
    put(state, BREAKER, closed(since=100, closed_at=200))
    assert state.abnormal("news", APNS, 150)
    assert not state.abnormal("news", APNS, 201)


def test_memory_is_bounded() -> None:
    state, _ = live()
    for number in range(MAX_WINDOWS + 5):
        put(state, BREAKER, opened(since=10 * number, at=10 * number))
        put(state, BREAKER, closed(since=10 * number, at=10 * number, closed_at=10 * number + 1))
    assert not state.abnormal("news", APNS, 40)
    assert state.abnormal("news", APNS, 50)
    for number in range(MAX_ENTRIES + 5):
        put(state, Subject(Kind.PAUSE, f"a{number}", APNS), Pause(1))
    assert len(state.pauses) == MAX_ENTRIES - 1
    assert state.ignored == {"too_many": 6}
    put(state, BREAKER, opened(since=900, at=900))
    assert state.held("news", APNS, Lane.BULK), "what is known already still changes"


def test_stops_holds_and_segments_have_one_name_with_or_without_slashes() -> None:
    state = ControlState()
    for kind, known in ((Kind.STOP, state.stops), (Kind.HOLD, state.holds)):
        key = Name(kind, "sale/2026").key()
        state.apply(key, encode(Halt(since_ms=1)))
        assert known == {"sale/2026": Halt(since_ms=1)}
        state.apply(key, None)
        assert known == {}
    state.apply(b"segment/de", encode(SegmentRecord({"locale": "de"})))
    assert state.segment("de") == Locale("de")
    assert state.segment("fr") is None
    assert not state.ignored


def test_a_push_service_that_answers_again_is_known_by_app_and_host(monkeypatch: pytest.MonkeyPatch) -> None:
    state = ControlState()
    state.apply(reached("news", "push.example:8443").key(), encode(Reached(7, "sender-1")))
    assert state.reached == {"news/push.example:8443": Reached(7, "sender-1")}
    monkeypatch.setattr("pushcast.wire.control.control_state.MAX_NAMES", 1)
    state.apply(reached("news", "other.example").key(), encode(Reached(8)))
    assert state.reached == {"news/other.example": Reached(8)}, "the one that was heard of longest ago is forgotten"
    assert not state.ignored


@pytest.mark.parametrize("key", [b"stop/", b"hold/" + b"x" * 257, b"segment/a/b", b"segment/"])
def test_a_name_that_cannot_be_is_ignored(key: bytes) -> None:
    state = ControlState()
    state.apply(key, encode(Halt(since_ms=1)))
    assert state.ignored == {"key_invalid": 1}


def test_a_broken_segment_leaves_the_one_before() -> None:
    state = ControlState()
    state.apply(b"segment/de", encode(SegmentRecord({"locale": "de"})))
    state.apply(b"segment/de", encode(SegmentRecord({"locale": 7})))
    assert state.segment("de") == Locale("de")
    assert state.ignored == {"invalid_field": 1}


def test_no_more_than_10000_of_a_kind_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pushcast.wire.control.control_state.MAX_NAMES", 2)
    state = ControlState()
    for name in ("a", "b", "c", "a"):
        state.apply(Name(Kind.STOP, name).key(), encode(Halt(since_ms=1)))
    assert (set(state.stops), state.ignored) == ({"a", "b"}, {"too_many": 1})


def test_bad_input_ten_thousand_segments_are_taken_and_one_more_is_told() -> None:
    state = ControlState()
    for number in range(10_001):
        state.apply(Name(Kind.SEGMENT, f"s-{number}").key(), encode(SegmentRecord({"topic": "a"})))
    assert (len(state.segments), state.ignored) == (10_000, {"too_many": 1})
    state.apply(Name(Kind.SEGMENT, "s-0").key(), None)
    state.apply(Name(Kind.SEGMENT, "s-10001").key(), encode(SegmentRecord({"topic": "b"})))
    assert state.segment("s-10001") == FollowedTopic("b")
