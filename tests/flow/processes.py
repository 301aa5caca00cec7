"""Worker processes of tests: started with options as JSON, read line by line, always gone at the end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from flow.kafka_tools import DEADLINE_SECONDS

TESTS = Path(__file__).parent.parent


def pushcast(environment: Mapping[str, str], *arguments: str) -> str:
    """What a command that succeeds writes to its standard output."""
    command = [sys.executable, "-m", "pushcast", *arguments]
    ran = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


class Worker:
    """A running `python -m <package>.<module> JSON`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []

    async def line(self) -> str:
        """Its next line of output; fails when it ends or is silent for too long."""
        assert self.process.stdout is not None
        line = await asyncio.wait_for(self.process.stdout.readline(), DEADLINE_SECONDS)
        assert line, f"the worker ended with {await self.process.wait()}"
        self.lines.append(line.decode().strip())
        return self.lines[-1]

    async def ready(self) -> None:
        while await self.line() != "ready":
            pass

    async def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        await self.process.wait()

    async def stop(self) -> int:
        """SIGTERM, and its exit code."""
        self.process.terminate()
        await asyncio.wait_for(self.process.communicate(), DEADLINE_SECONDS)
        code = self.process.returncode
        assert code is not None
        return code


@contextlib.asynccontextmanager
async def worker(module: str, package: str = "flow", **options: Any) -> AsyncIterator[Worker]:
    """Starts a worker; kills it at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        f"{package}.{module}",
        json.dumps(options),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=16 << 20,
        env=os.environ | {"PYTHONPATH": str(TESTS)},
    )
    try:
        yield Worker(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
