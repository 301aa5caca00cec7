"""Provider simulators as processes: started, scripted through their control ports, asked for what they counted."""

from __future__ import annotations

import json
import select
import signal
import subprocess
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from pushcast.model.errors import PushcastError
from pushcast.runtime.child import child_command
from pushcast.simulators.configuration import provider_settings

START_SECONDS = 180.0
STOP_SECONDS = 45.0
EXPO_REQUEST_PUSHES = 100  # a rule is asked for each push of a request, and one of them is enough
CONTROL_SECONDS = 60.0


class Simulated:
    """One simulator. The process ends with ours; `stop` ends it earlier."""

    def __init__(self, platform: str, apps: Sequence[str], folder: Path, log_file: IO[bytes]) -> None:
        """Blocks until it listens. Raises PushcastError when it does not."""
        self.platform = platform
        self._unpaced = False
        topics = [part for app in apps for part in ("--topic", f"com.example.{app}")]
        command = child_command("sim", platform, *topics, "--work-dir", str(folder))
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log_file, start_new_session=True)
        assert self._process.stdout is not None
        line = _first_line(self._process.stdout, START_SECONDS)
        self._log_file = log_file.name
        if not line:
            self.stop()
            raise PushcastError(f"the {platform} simulator did not start; see {self._log_file}")
        self.description: dict[str, Any] = json.loads(line)

    @property
    def url(self) -> str:
        """Where senders reach it."""
        return str(self.description["url"])

    def control(self, path: str, value: Any = None, method: str | None = None) -> Any:
        """JSON to and from its control port: `pushcast.simulators.control` has the paths. Raises OSError."""
        return ask(f"{self.description['control_url']}{path}", value, method)

    def check(self) -> None:
        """Raises PushcastError when it has ended."""
        if (code := self._process.poll()) is not None:
            raise PushcastError(f"the {self.platform} simulator ended with {code}; see {self._log_file}")

    def stats(self) -> dict[str, Any]:
        """What it counted since its start."""
        found: dict[str, Any] = self.control("/stats")
        return found

    def fail_sometimes(self, probability: float) -> None:
        """Answers that share of the requests with a 503."""
        each = probability / (EXPO_REQUEST_PUSHES if self.platform == "expo" else 1)
        self.control("/rules", [{"effect": "status:503", "probability": each}], "PUT")

    def lift_quota(self) -> None:
        """Expo's pushes a second are not limited, as FCM's are not at a simulator: neither here nor at the senders."""
        if self.platform == "expo":
            self.control("/state", {"per_second": None}, "PUT")
            self._unpaced = True

    def provider_settings(self, app: str) -> dict[str, Any]:
        """The app's section of `pushcast.yaml` for this platform."""
        settings = provider_settings(self.description, app)
        if self._unpaced:
            del settings["quota_per_second"]
        return settings

    def freeze(self) -> None:
        """SIGSTOP: it keeps its connections and does nothing, as one without CPU."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """SIGTERM, and SIGKILL when that takes too long. Safe to repeat."""
        stop_process(self._process)


def ask(url: str, value: Any = None, method: str | None = None) -> Any:
    """JSON request and answer on loopback. Raises OSError."""
    data = None if value is None else json.dumps(value).encode()
    request = urllib.request.Request(  # noqa: S310 - our own process's address
        url, data, {"content-type": "application/json"}, method=method
    )
    with urllib.request.urlopen(request, timeout=CONTROL_SECONDS) as answer:  # noqa: S310
        return json.loads(answer.read())


def stop_process(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, then SIGKILL after a bound that is above a role's own; blocks until it has ended."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _first_line(stream: IO[bytes], seconds: float) -> bytes:
    readable, _, _ = select.select([stream], [], [], seconds)
    return stream.readline() if readable else b""
