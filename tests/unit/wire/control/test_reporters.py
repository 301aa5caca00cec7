"""Who has the reports of which partition, and who stands by for it."""

from __future__ import annotations

from pushcast.wire.control.reporters import Reporter, Reporters, encode, key_of

OWNER, STANDBY = Reporter("http://a:1", 1), Reporter("http://b:2", 2)


def test_owners_and_standbys_are_known_apart() -> None:
    known = Reporters()
    known.apply(key_of(3), encode(OWNER))
    known.apply(key_of(3, standby=True), encode(STANDBY))
    assert (known.urls(), known.standbys()) == ({3: "http://a:1"}, {3: "http://b:2"})
    known.apply(key_of(3), None)
    assert (known.urls(), known.standbys()) == ({}, {3: "http://b:2"})


def test_other_kinds_change_nothing_and_malformed_ones_are_counted() -> None:
    known = Reporters()
    known.apply(b"where/pushcast-plan-normal/local", encode(OWNER))
    known.apply(None, encode(OWNER))
    assert known.ignored == 0
    for key, value in (
        (b"report/x", encode(OWNER)),
        (key_of(1), b"{"),
        (key_of(1, standby=True), b'{"url":"ftp://x"}'),
    ):
        known.apply(key, value)
    assert (known.ignored, known.urls(), known.standbys()) == (3, {}, {})
