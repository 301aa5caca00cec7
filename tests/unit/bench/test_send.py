"""Rows, sinks and yardsticks of `bench send`."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from pushcast.bench import h2load, send, stage_send
from pushcast.bench.base import Options, Result, Row
from pushcast.bench.sender import Load, Report
from pushcast.bench.sink import Latency, Simulator, go_sink
from pushcast.config.providers import App
from pushcast.model.errors import PushcastError
from pushcast.model.words import Platform
from pushcast.providers.apns.message import Rendered

RENDERED = Rendered(((b"apns-topic", b"com.example.news"),), None, collapses=False, body=b"{}", stored=True)


def test_the_rows_of_the_contract_are_there() -> None:
    names = {case.name for case in send.CASES} | {stage_send.ROW}
    assert names >= {
        "apns/multicast",
        "apns/broadcast",
        "apns/aioapns",
        "apns/httpx",
        "apns/multicast/50ms",
        "apns/chat",
        "fcm/multicast",
        "fcm/multicast/50ms",
        "fcm/httpx",
        "webpush/multicast",
        "expo/httpx",
        "stage/apns",
        "h2load",
    }


@pytest.mark.parametrize(
    ("warm_up", "results"),
    [
        ({"accepted": 2}, {"accepted": 4, "unknown:unknown_outcome": 1}),
        ({"accepted": 2}, {"accepted": 4}),
        ({"accepted": 1, "retry:internal": 1}, {"accepted": 5}),
    ],
)
def test_a_run_with_any_push_that_was_not_accepted_is_no_figure(
    warm_up: dict[str, int], results: dict[str, int]
) -> None:
    asked = Load("news", Platform.APNS, 5, 2, 1, 5, 1, 10)
    send.check("row", asked, Report(1, 1, 1, {"accepted": 5}, {"accepted": 2}, 0, 0))
    with pytest.raises(PushcastError, match="row: warm-up ended with"):
        send.check("row", asked, Report(1, 1, 1, results, warm_up, 0, 0))


def test_an_engine_is_measured_in_its_process_against_a_simulator_in_another() -> None:
    said: list[str] = []
    result = send.run(Options(items=400, shapes=("apns/chat",), say=said.append))
    (row,) = result.rows
    assert (row.name, row.items) == ("apns/chat", 200)
    assert row.cpu_seconds > 0
    assert result.to_dict()["setup"]["calibration_us_before_row"].keys() == {"apns/chat"}
    assert [line.partition(":")[0] for line in said] == ["apns/chat"]


def test_what_is_not_installed_is_left_out_with_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(h2load, "installed", lambda: None)
    assert send.run(Options(shapes=("h2load",), say=said.append)).rows == []
    assert said == ["h2load: left out, h2load is not installed"]


def test_the_stage_is_measured_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Result([Row("stage/apns", 1, 1.0, 1.0, 1)], {"partitions": 8})
    monkeypatch.setattr(stage_send, "run", lambda options: stage)
    result = send.run(Options(shapes=("stage",)))
    assert ([row.name for row in result.rows], result.setup["stage"]) == (["stage/apns"], {"partitions": 8})


CREDENTIALS: dict[Platform, dict[str, Any]] = {
    Platform.APNS: {"key_file": "/k", "key_id": "A" * 10, "team_id": "B" * 10, "topic": "t", "topics": ["t"]},
    Platform.FCM: {"service_account_file": "/s", "project_id": "p", "token_endpoint": "https://t/token", "apps": {}},
    Platform.EXPO: {"access_token_file": "/a"},
    Platform.WEBPUSH: {"vapid_key_file": "/v", "subject": "mailto:a@b.example", "vapid_public_key": "x"},
}


@pytest.mark.parametrize("platform", list(Platform))
def test_what_a_simulator_says_of_itself_becomes_settings_of_its_provider(platform: Platform, tmp_path: Path) -> None:
    line = {
        "platform": str(platform),
        "url": "https://127.0.0.1:1",
        "ca_file": "/ca",
        "credentials": CREDENTIALS[platform],
    }
    chosen = Simulator(platform, tmp_path, line).provider_settings("https://127.0.0.1:2")
    settings = getattr(App.model_validate({platform: chosen}), platform)
    assert str(settings.ca_file) == "/ca"
    if platform is not Platform.WEBPUSH:
        assert settings.endpoint == "https://127.0.0.1:2"


def program(path: Path, text: str) -> Path:
    path.write_text(f"#!{sys.executable}\n{text}")
    path.chmod(0o700)
    return path


def test_the_go_sink_is_told_what_the_platform_and_the_row_need(tmp_path: Path) -> None:
    text = (
        "import pathlib, socket, sys\n"
        "pathlib.Path(sys.argv[0] + '.arguments').write_text(' '.join(sys.argv[1:]))\n"
        "server = socket.create_server(('127.0.0.1', int(sys.argv[2].rpartition(':')[2])))\n"
        "while True:\n    server.accept()\n"
    )
    binary = program(tmp_path / "sink", text)
    sim = Simulator(Platform.FCM, tmp_path, {})
    with go_sink(binary, sim, Latency(50, 20)) as url:
        port = int(url.rpartition(":")[2])
        socket.create_connection(("127.0.0.1", port)).close()
    server = tmp_path / "server.pem"
    assert (tmp_path / "sink.arguments").read_text() == (
        f"-addr 127.0.0.1:{port} -streams 100 -cert {server} -key {server} -fcm -delay 50ms -jitter 20ms"
    )


def test_h2load_is_a_row_of_its_own_process(tmp_path: Path) -> None:
    text = "import sys\nprint('requests: 7 total, 7 started, 7 done, 7 succeeded, 0 failed')\nsum(range(10**6))\n"
    row = h2load.measure(str(program(tmp_path / "h", text)), "h2load", "https://127.0.0.1:1", RENDERED, "ab", 7)
    assert (row.name, row.items) == ("h2load", 7)
    assert row.cpu_seconds > 0
    assert row.rss_bytes > 1_000_000


@pytest.mark.parametrize(
    "text", ["print('requests: 7 total, 6 succeeded')", "print('7 succeeded')\nraise SystemExit(1)"]
)
def test_h2load_without_every_answer_is_no_figure(tmp_path: Path, text: str) -> None:
    with pytest.raises(PushcastError, match="h2load ended with"):
        h2load.measure(str(program(tmp_path / "h", text)), "h2load", "https://127.0.0.1:1", RENDERED, "ab", 7)
