from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest


def run(*arguments: str) -> subprocess.Popen[str]:
    code = "from pushcast.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, "sim", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize(
    ("platform", "number"),
    [
        ("apns", signal.SIGTERM),
        ("fcm", signal.SIGINT),
        ("expo", signal.SIGTERM),
        ("webpush", signal.SIGINT),
    ],
)
def test_it_prints_one_line_when_it_listens_and_ends_cleanly(
    platform: str, number: signal.Signals, tmp_path: Path
) -> None:
    process = run(platform, "--work-dir", str(tmp_path), "--seed", "5", "--apps", "2", "--state", '{"latency": 3}')
    assert process.stdout is not None
    try:
        described = json.loads(process.stdout.readline())
        assert set(described) == {"platform", "url", "control_url", "ca_file", "credentials"}
        assert described["platform"] == platform
        assert Path(described["ca_file"]).is_file()
        assert set(described["credentials"]["apps"]) == {"news", "shop"}
        assert httpx.get(f"{described['control_url']}/state").json()["latency"]["ms"] == 3.0
        process.send_signal(number)
        assert process.wait(timeout=20) == 0
        rest, errors = process.communicate()
        assert (rest, errors) == ("", "")
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    "arguments",
    [["smoke"], ["apns", "--environment", "moon"], ["apns", "--state", '{"latensy": 3}'], ["apns", "--checks", "?"]],
)
def test_what_makes_no_sense_is_exit_code_2_with_a_sentence(arguments: list[str], tmp_path: Path) -> None:
    process = run(*arguments, "--work-dir", str(tmp_path))
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (2, "")
    assert len(errors) > 20
