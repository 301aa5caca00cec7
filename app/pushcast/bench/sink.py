"""What benchmarks send to: a simulator without checks in a process of its own, or the Go sink where one is built."""

from __future__ import annotations

import json
import socket
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final

from pushcast.bench.cluster import ProcessUnderTest
from pushcast.model.words import Platform
from pushcast.runtime.child import child_command
from pushcast.simulators.configuration import provider_settings

LISTENS_SECONDS: Final = 30.0
# Streams that a connection may have: APNs' 1,000 and FCM's 100 (reference/providers.md §1.1, §2.1).
GO_STREAMS: Final = {Platform.APNS: 1_000, Platform.FCM: 100}


@dataclass(frozen=True, slots=True)
class Latency:
    """Of every answer: `ms` ± uniform `jitter_ms`, so answers come out of order."""

    ms: int
    jitter_ms: int = 0


@dataclass(frozen=True, slots=True)
class Simulator:
    """A simulator that listens; `line` is what it said of itself."""

    platform: Platform
    folder: Path
    line: Mapping[str, Any]
    process: ProcessUnderTest | None = None

    @property
    def url(self) -> str:
        return str(self.line["url"])

    def provider_settings(self, url: str | None = None) -> dict[str, Any]:
        """`apps.<app>.<platform>` for this simulator's credentials, at another URL when one is given."""
        return provider_settings(self.line, url=url)

    def answer_after(self, latency: Latency | None) -> None:
        """From now on; None: at once."""
        shown = None if latency is None else {"ms": latency.ms, "jitter_ms": latency.jitter_ms}
        self.set_state(latency=shown)

    def set_state(self, **state: Any) -> None:
        """As its control API has it."""
        self._ask("/state", state, method="PUT")

    def stats(self) -> dict[str, Any]:
        """Counters since its start."""
        return self._ask("/stats")

    def reset(self) -> None:
        """Counters, rules and state as at the start; connections stay."""
        self._ask("/reset", {}, method="POST")

    def never_answer(self) -> None:
        """Takes every request from now on and answers none, until `reset`."""
        self._ask("/rules", {"rules": [{"effect": "never"}]}, method="PUT")

    def subscriptions(self, count: int) -> tuple[str, ...]:
        """webpush: so many of them, as JSON texts, bound to the first app's key."""
        asked = {"count": count, "vapid_public_key": self.line["credentials"]["vapid_public_key"]}
        return tuple(json.dumps(row) for row in self._ask("/subscribe", asked, method="POST")["subscriptions"])

    def _ask(self, path: str, body: Mapping[str, Any] | None = None, method: str = "GET") -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.line['control_url']}{path}", data, method=method)  # noqa: S310 - ours
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - loopback
            found: dict[str, Any] = json.load(answer)
        return found


@contextmanager
def simulator(
    platform: Platform, folder: Path, *, checks: bool = False, max_copies: int = 0, niceness: int = 0
) -> Iterator[Simulator]:
    """`pushcast sim PLATFORM` until the end of the block. Makes the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"sim-{platform}.log"
    options = {"--checks": "on" if checks else "off", "--max-copies": str(max_copies)}
    options["--work-dir"] = str(folder / platform)
    arguments = ("sim", platform, *chain.from_iterable(options.items()))
    with ProcessUnderTest(child_command(*arguments), log, niceness) as process:
        process.until(lambda: _line(log) is not None, f"the {platform} simulator listens", LISTENS_SECONDS)
        line = _line(log)
        assert line is not None
        yield Simulator(platform, folder / platform, line, process)


def _line(log: Path) -> dict[str, Any] | None:
    for text in log.read_text().splitlines(keepends=True):
        if text.startswith("{") and text.endswith("\n"):
            found: dict[str, Any] = json.loads(text)
            if "control_url" in found:
                return found
    return None


@contextmanager
def go_sink(binary: Path, beside: Simulator, latency: Latency | None) -> Iterator[str]:
    """URL of the Go sink, with the certificate of the simulator beside it, until the end of the block.

    Raises PushcastError when it does not come to listen.
    """
    port = _free_port()
    server = str(beside.folder / "server.pem")
    command = [str(binary), "-addr", f"127.0.0.1:{port}", "-streams", str(GO_STREAMS[beside.platform])]
    command += ["-cert", server, "-key", server]
    if beside.platform is Platform.FCM:
        command.append("-fcm")
    if latency is not None:
        command += ["-delay", f"{latency.ms}ms", "-jitter", f"{latency.jitter_ms}ms"]
    with ProcessUnderTest(command, beside.folder / "go-sink.log") as process:
        process.until(lambda: _answers(port), "the Go sink listens", LISTENS_SECONDS)
        yield f"https://127.0.0.1:{port}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
