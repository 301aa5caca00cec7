"""Ports: the default when it is free, a given one or nothing, and never an ephemeral one."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator

import pytest

from pushcast.kafka.embedded import ports
from pushcast.kafka.embedded.errors import PortTakenError


@pytest.fixture
def taken() -> Iterator[int]:
    """A port something listens on."""
    with socket.socket() as listening:
        listening.bind((ports.HOST, 0))
        listening.listen()
        yield listening.getsockname()[1]


def test_a_port_with_a_listener_is_not_free(taken: int) -> None:
    assert not ports.is_free(taken)
    assert ports.accepts(taken, timeout_seconds=1)


def test_a_port_that_is_bound_but_silent_is_not_free() -> None:
    with socket.socket() as bound:
        bound.bind((ports.HOST, 0))
        assert not ports.accepts(bound.getsockname()[1], timeout_seconds=0.2)
        assert not ports.is_free(bound.getsockname()[1])


def test_chosen_ports_are_different_free_and_below_the_ephemeral_range() -> None:
    chosen = ports.choose(20, random.Random(1))
    assert len(set(chosen)) == 20
    assert all(20_000 <= port < 32_000 for port in chosen)
    again = ports.choose(20, random.Random(1), besides=frozenset(chosen))
    assert not set(again) & set(chosen)


def test_the_default_port_is_taken_when_it_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    free = ports.choose(1, random.Random())[0]
    monkeypatch.setattr(ports, "DEFAULT_PORT", free)
    monkeypatch.setattr(ports, "is_free", lambda port: True)
    assert ports.for_brokers(3, None, random.Random()) == [free, free + 1, free + 2]


def test_others_are_chosen_when_the_default_is_in_use(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "DEFAULT_PORT", taken)
    chosen = ports.for_brokers(2, None, random.Random())
    assert len(chosen) == 2
    assert taken not in chosen


def test_a_port_asked_for_by_number_is_that_one_or_an_error(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PortTakenError, match=rf"port {taken} on 127\.0\.0\.1 is in use"):
        ports.for_brokers(1, taken, random.Random())
    monkeypatch.setattr(ports, "is_free", lambda port: port != taken)  # the one below may be somebody's, too
    with pytest.raises(PortTakenError, match=rf"port {taken} "):
        ports.for_brokers(2, taken - 1, random.Random())
