from __future__ import annotations

import pytest

from pushcast.http2.errors import PeerSilent
from pushcast.http2.options import ConnectionOptions
from pushcast.http2.pulse import Pulse, Situation

OPTIONS = ConnectionOptions(
    settings_timeout_seconds=10.0, ping_after_seconds=15.0, ping_timeout_seconds=10.0, idle_ping_seconds=3600.0
)


def pings(pulse: Pulse, situation: Situation, *times: float) -> list[float]:
    """The times at which a PING is due."""
    return [at for at in times if pulse.look(at, situation)]


def test_settings_must_come_in_time() -> None:
    pulse = Pulse(OPTIONS, 100.0)
    assert pings(pulse, Situation.SETTLING, 100.1, 109.9) == []
    with pytest.raises(PeerSilent, match="SETTINGS"):
        pulse.look(110.0, Situation.SETTLING)


def test_silence_with_something_out_is_asked_about_and_then_believed() -> None:
    pulse = Pulse(OPTIONS, 0.0)
    assert pings(pulse, Situation.WAITING, 1.0, 15.9, 16.0, 20.0, 25.0) == [16.0]
    with pytest.raises(PeerSilent, match="PING included"):
        pulse.look(26.0, Situation.WAITING)


def test_anything_heard_answers_the_ping() -> None:
    pulse = Pulse(OPTIONS, 0.0)
    assert pings(pulse, Situation.WAITING, 0.0, 15.0, 19.0) == [15.0]
    pulse.heard = True
    assert pings(pulse, Situation.WAITING, 20.0, 24.0, 30.0, 34.9) == []
    assert pings(pulse, Situation.WAITING, 35.0) == [35.0]


def test_no_more_than_two_pings_without_a_request_between_them() -> None:
    pulse = Pulse(OPTIONS, 0.0)
    sent = []
    for at in range(0, 200, 2):
        if pulse.look(float(at), Situation.WAITING):
            sent.append(at)
            pulse.heard = True
    assert len(sent) == 2
    pulse.requested()
    assert pulse.look(200.0, Situation.WAITING)


def test_when_it_was_we_who_were_away_the_answer_may_wait_in_the_socket() -> None:
    pulse = Pulse(OPTIONS, 0.0)
    assert pings(pulse, Situation.WAITING, 0.0, 15.0) == [15.0]
    assert pings(pulse, Situation.WAITING, 60.0, 64.0, 69.0) == []
    with pytest.raises(PeerSilent):
        pulse.look(70.0, Situation.WAITING)


@pytest.mark.parametrize(("idle_ping_seconds", "expected"), [(3600.0, [3600.0]), (None, [])])
def test_an_idle_connection_is_asked_rarely_or_never(idle_ping_seconds: float | None, expected: list[float]) -> None:
    pulse = Pulse(ConnectionOptions(idle_ping_seconds=idle_ping_seconds), 0.0)
    assert pings(pulse, Situation.IDLE, 0.0, 20.0, 3599.0, 3600.0) == expected
