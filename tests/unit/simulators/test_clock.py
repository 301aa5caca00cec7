from __future__ import annotations

import time

import pytest

from pushcast.simulators.clock import SimulatorClock


def test_it_follows_the_machine_until_it_is_moved() -> None:
    clock = SimulatorClock()
    assert clock.now() == pytest.approx(time.time(), abs=1)
    clock.advance(3600)
    assert clock.now() == pytest.approx(time.time() + 3600, abs=1)
    clock.set(1_000_000)
    assert clock.now() == pytest.approx(1_000_000, abs=1)
    clock.reset()
    assert clock.now() == pytest.approx(time.time(), abs=1)


def test_frozen_it_moves_only_when_told() -> None:
    clock = SimulatorClock()
    clock.set(1_000_000)
    clock.freeze()
    first = clock.now()
    assert clock.now() == first
    clock.advance(5)
    assert clock.now() == first + 5
    clock.freeze(False)
    assert clock.now() >= first + 5
