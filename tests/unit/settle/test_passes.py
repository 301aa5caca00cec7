from __future__ import annotations

from pushcast.settle.passes import BYTES_PER_SECOND, LONGEST_SECONDS, SOON_SECONDS, Intervals, Passes

NOW = 1000.0


def passes() -> Passes:
    return Passes(Intervals(pass_seconds=60.0, probe_seconds=5.0), NOW)


def test_a_record_that_is_held_waits_for_the_rare_pass() -> None:
    own = passes()
    assert own.wait_seconds(7, NOW, probing=False) == 60.0
    assert not own.due(NOW + 59.9)
    assert own.due(NOW + 60.0)


def test_a_resumption_begins_a_pass_at_once_and_another_during_the_pass_begins_the_next() -> None:
    own = passes()
    own.resumed()
    assert (own.wait_seconds(7, NOW, probing=False), own.due(NOW)) == (0.0, True)
    own.starting()
    own.begin(10, NOW)
    assert (own.wait_seconds(9, NOW, probing=False), own.wait_seconds(10, NOW, probing=False)) == (0.0, 60.0)
    own.resumed()
    own.costs(1 << 30)
    assert own.wait_seconds(10, NOW, probing=False) == 0.0


def test_a_record_that_may_go_waits_for_a_moment_only() -> None:
    own = passes()
    own.may_go(NOW)
    assert own.wait_seconds(7, NOW, probing=False) == SOON_SECONDS
    own.may_go(NOW + 0.5)
    assert own.wait_seconds(7, NOW, probing=False) == SOON_SECONDS, "later ones do not put it off"


def test_what_a_pass_wrote_again_puts_the_next_one_off() -> None:
    own = passes()
    own.begin(10, NOW)
    own.costs(BYTES_PER_SECOND * 40)
    own.may_go(NOW + 2)
    assert own.wait_seconds(10, NOW, probing=False) == 40.0
    own.begin(20, NOW + 40)
    own.costs(BYTES_PER_SECOND * 90)
    assert own.wait_seconds(20, NOW + 40, probing=False) == 90.0
    own.costs(BYTES_PER_SECOND * 90_000)
    assert own.wait_seconds(20, NOW + 40, probing=False) == LONGEST_SECONDS


def test_probes_leave_between_passes_while_a_breaker_is_open() -> None:
    own = passes()
    assert own.wait_seconds(7, NOW, probing=True) == 5.0
    assert own.probe_due(NOW + 5)
    own.begin_probe(8, NOW + 5)
    assert own.wait_seconds(7, NOW + 5, probing=True) == 0.0
    assert own.probes("news", "apns")
    assert not own.probes("news", "apns"), "one record of each app"
    assert own.probes("other", "apns")
    assert own.wait_seconds(8, NOW + 5, probing=True) == 5.0
    own.no_probe(NOW + 10)
    assert own.wait_seconds(8, NOW + 10, probing=True) == 5.0
    own.begin(20, NOW + 60)
    assert own.probes("news", "apns"), "each pass probes too"


def test_a_resumption_while_the_end_is_asked_for_begins_another_pass() -> None:
    own = passes()
    own.resumed()
    own.starting()
    own.resumed()
    own.begin(10, NOW)
    assert own.due(NOW), "what was parked after the end that was answered may go, too"
