"""The end of a process whose Apps do not stop."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import NoReturn, cast

import faust
import pytest

from pushcast.transport import host


class StuckApp:
    """Starts, and never stops: as an App whose broker is away, only longer."""

    crashed = False
    _consumer = None

    def __init__(self) -> None:
        self.stopping = asyncio.Event()

    async def start(self) -> None: ...

    async def wait_until_stopped(self) -> None:
        await asyncio.Event().wait()

    async def stop(self) -> None:
        self.stopping.set()
        await asyncio.Event().wait()


class Ended(BaseException):
    pass


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    said: list[str] = []

    def end(what: str, exc: BaseException) -> NoReturn:
        said.append(what)
        raise Ended from exc

    monkeypatch.setattr(host, "end_process", end)
    return said


async def test_stopping_for_too_long_ends_the_process_unacknowledged(ends: list[str]) -> None:
    stop = asyncio.Event()
    stop.set()
    with pytest.raises(Ended):
        await host.run_apps([cast("faust.App", StuckApp())], stop=stop, stop_seconds=0.05)
    assert ends == ["stopping took longer than 0 s"]


async def test_an_interrupt_stops_in_order_and_a_second_one_at_once(ends: list[str]) -> None:
    app, stop = StuckApp(), asyncio.Event()
    running = asyncio.create_task(host.run_apps([cast("faust.App", app)], stop=stop))
    await asyncio.sleep(0)
    os.kill(os.getpid(), signal.SIGINT)
    await asyncio.wait_for(app.stopping.wait(), 5)
    assert ends == []
    with pytest.raises(Ended):  # what the handler does, without the loop of the tests between
        host._interrupted(stop)
    assert ends == ["interrupted again while stopping"]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
