"""sd_notify, on a socket of the test's own."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from structlog.testing import LogCapture

from pushcast.runtime.systemd import ALIVE, READY, ServiceManager


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as found:
        found.bind(str(tmp_path / "notify"))
        found.settimeout(10)
        yield found


def test_a_message_is_one_datagram(listener: socket.socket, tmp_path: Path) -> None:
    ServiceManager.of({"NOTIFY_SOCKET": str(tmp_path / "notify")}).tell(READY)
    assert listener.recv(100) == b"READY=1"


def test_children_do_not_inherit_the_managers_address() -> None:
    environment = {"NOTIFY_SOCKET": "/run/notify", "WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "7", "HOME": "/"}
    manager = ServiceManager.of(environment)
    assert environment == {"HOME": "/"}
    assert manager.every_seconds == 20


@pytest.mark.parametrize("environment", [{}, {"WATCHDOG_USEC": "60000000"}, {"NOTIFY_SOCKET": "/x"}])
async def test_without_a_watchdog_nobody_waits_for_signs_of_life(environment: dict[str, str]) -> None:
    await ServiceManager.of(environment).keep_alive(list)


def test_without_a_manager_nothing_is_said() -> None:
    ServiceManager.of({}).tell(READY)


async def test_a_process_that_cannot_go_on_keeps_silent(listener: socket.socket, tmp_path: Path) -> None:
    manager = ServiceManager.of({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "3000"})
    problems = ["the heartbeat is late"]
    looked = asyncio.Event()

    def look() -> list[str]:
        looked.set()
        return problems

    task = asyncio.create_task(manager.keep_alive(look))
    try:
        await asyncio.wait_for(looked.wait(), 10)
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.recv(100)
        problems.clear()
        listener.settimeout(10)
        assert await asyncio.to_thread(listener.recv, 100) == ALIVE.encode()
    finally:
        task.cancel()


def test_a_manager_that_is_gone_stops_nothing_and_is_told_of(tmp_path: Path) -> None:
    said = LogCapture()
    structlog.configure(processors=[said])
    try:
        ServiceManager(str(tmp_path / "gone"), None).tell(READY)
    finally:
        structlog.reset_defaults()
    assert [line["event"] for line in said.entries] == ["service_manager_not_told"]
