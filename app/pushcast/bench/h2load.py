"""h2load (nghttp2, C) as a yardstick: the same request again and again at the sinks of `bench send`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pushcast.bench.base import Row
from pushcast.model.errors import PushcastError
from pushcast.providers.apns.message import Rendered

STREAMS = 1_000
_SUCCEEDED = re.compile(r"(\d+) succeeded")


def installed() -> str | None:
    """The program, None where there is none."""
    return shutil.which("h2load")


def measure(program: str, name: str, url: str, rendered: Rendered, token: str, items: int) -> Row:
    """One connection of 1,000 streams, one thread, one token. CPU and memory are of its whole life.

    Raises PushcastError when not every request was answered with 2xx.
    """
    fields = [*rendered.headers, (b"apns-expiration", b"1800000000"), (b"authorization", b"bearer " + b"x" * 200)]
    with tempfile.TemporaryDirectory(prefix="pushcast-h2load-") as folder:
        body, output = Path(folder, "body"), Path(folder, "output")
        body.write_bytes(rendered.body)
        command = [program, "-n", str(items), "-c", "1", "-m", str(STREAMS), "-t", "1", "-d", str(body)]
        for key, value in fields:
            command += ["-H", f"{key.decode()}: {value.decode()}"]
        with output.open("wb") as out:
            started_at = time.monotonic()
            process = subprocess.Popen([*command, f"{url}/3/device/{token}"], stdout=out, stderr=out)
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.monotonic() - started_at
        process.returncode = os.waitstatus_to_exitcode(status)
        text = output.read_text(errors="replace")
    found = _SUCCEEDED.search(text)
    if process.returncode or found is None or int(found[1]) != items:
        raise PushcastError(f"h2load ended with {process.returncode}:\n{text[-2000:]}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Row(name, items, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit)
