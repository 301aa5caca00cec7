"""CPU and memory of another process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pushcast.bench import meter
from pushcast.bench.cluster import ProcessUnderTest
from pushcast.model.errors import PushcastError

BURN = """
import time
while time.process_time() < {seconds}: pass
print("burnt", flush=True)
input()
"""


def test_it_reads_the_cpu_time_that_a_process_used() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", BURN.format(seconds=0.5)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        process.stdout.readline()
        reading = meter.read(process.pid)
        process.stdin.close()
    assert 0.4 < reading.cpu_seconds < 5
    assert reading.rss_bytes > 1_000_000


def test_what_is_resident_now_is_no_more_than_the_peak() -> None:
    ballast = bytearray(b"x" * 30_000_000)
    with_it = meter.resident_bytes(os.getpid())
    del ballast
    now, peak = meter.resident_bytes(os.getpid()), meter.read(os.getpid()).rss_bytes
    assert 1_000_000 < now < with_it <= peak
    with pytest.raises(PushcastError):
        meter.resident_bytes(2**22 + 1)


def test_what_it_reads_of_this_process_is_what_ps_says() -> None:
    reading, (ps_cpu, ps_rss) = meter.read(os.getpid()), meter._from_ps(os.getpid())
    assert abs(reading.cpu_seconds - ps_cpu) < 3  # ps shows whole seconds
    assert 0.2 < ps_rss / reading.rss_bytes <= 1.1  # the present and, where there is a /proc, the peak


def test_a_process_that_is_gone_is_an_error_with_the_end_of_its_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with ProcessUnderTest([sys.executable, "-c", "raise SystemExit('no broker here')"], log) as process:
        with pytest.raises(PushcastError, match="no broker here"):
            process.until(lambda: False, "it never is", 30)
        with pytest.raises(PushcastError, match="ended with 1"):
            process.reading()


def test_what_does_not_come_in_time_is_named(tmp_path: Path) -> None:
    with (
        ProcessUnderTest([sys.executable, "-c", "input()"], tmp_path / "log") as process,
        pytest.raises(PushcastError, match="all is committed: not within 0 s"),
    ):
        process.until(lambda: False, "all is committed", 0)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the kernel does not tell")
def test_it_counts_the_files_that_a_process_has_open(tmp_path: Path) -> None:
    before = meter.open_files(os.getpid())
    assert before is not None
    with (tmp_path / "one").open("wb"), (tmp_path / "two").open("wb"):
        assert meter.open_files(os.getpid()) == before + 2
    with pytest.raises(PushcastError, match="cannot be measured"):
        meter.open_files(2**22 + 1)
