"""The process under test of `bench send`, and what it is told: `python -m pushcast.bench.sender`."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import msgspec
import yaml

from pushcast.bench.messages import APP
from pushcast.bench.sender import Load, Report
from pushcast.bench.sink import Simulator
from pushcast.config.settings import CONFIG_VARIABLE
from pushcast.model.errors import PushcastError

POLL_SECONDS: Final = 0.05
TIMEOUT_SECONDS: Final = 600.0


@contextmanager
def configuration(sim: Simulator, url: str, engine: str = "multicast", limit: str = "adaptive") -> Iterator[None]:
    """A pushcast.yaml for one provider; this process and its children have PUSHCAST_CONFIG set to it."""
    path = sim.folder / "pushcast.yaml"
    apps = {APP: {str(sim.platform): sim.provider_settings(url) | {"engine": engine}}}
    tree = {"apps": apps, "send": {"limit": limit}}
    path.write_text(yaml.safe_dump(tree))
    before = os.environ.get(CONFIG_VARIABLE)
    os.environ[CONFIG_VARIABLE] = str(path)
    try:
        yield
    finally:
        if before is None:
            del os.environ[CONFIG_VARIABLE]
        else:
            os.environ[CONFIG_VARIABLE] = before


class SenderProcess:
    """The process under test. Use it as a context manager; when the block ends early, so does the process."""

    def __init__(self, log: Path) -> None:
        self._log = log

    def __enter__(self) -> SenderProcess:
        command = [sys.executable, "-m", "pushcast.bench.sender", str(os.getpid())]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate(timeout=10)

    def warm_up(self, load_: Load) -> None:
        """Returns when it has sent `warm_up_items`."""
        self._tell(msgspec.json.encode(load_))
        self._read()

    def report(self) -> Report:
        """Lets it send the rest."""
        return self.watched(lambda: True)[0]

    def watched(self, condition: Callable[[], bool]) -> tuple[Report, float | None]:
        """Lets it send the rest; with the report, when the condition was found true first (monotonic), if ever."""
        self._tell(b"{}")
        found_at: float | None = None
        while not select.select([self._out], [], [], POLL_SECONDS)[0]:
            if found_at is None and condition():
                found_at = time.monotonic()
        return msgspec.json.decode(self._read(), type=Report), found_at

    @property
    def _out(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    def _tell(self, line: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + b"\n")
        self._process.stdin.flush()

    def _read(self) -> bytes:
        if not select.select([self._out], [], [], TIMEOUT_SECONDS)[0]:
            raise PushcastError(f"the process under test said nothing for {TIMEOUT_SECONDS:.0f} s")
        line = self._out.readline()
        if not line:
            tail = self._log.read_text(errors="replace")[-3000:]
            raise PushcastError(f"the process under test ended:\n{tail}")
        return line
