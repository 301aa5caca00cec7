"""`pushcast up`, and what README and docs/reading.md show, run as a reader would run them (faults.md P2-8, P2-9)."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import yaml

from flow.examples import COMMANDS, EXAMPLES, run
from flow.kafka_tools import read_all
from pushcast.kafka.embedded import jars
from pushcast.kafka.embedded.environment import Environment
from snippets import ROOT, blocks

#: The first test waits for everything to start.
pytestmark = pytest.mark.timeout(300)
README = ROOT / "README.md"
UP_SECONDS = 180
COMMAND_SECONDS = 100
JAVA = """
import java.util.Properties;
import org.apache.kafka.clients.producer.*;
class Snippet {
    public static void main(String[] arguments) throws Exception {
%s
    }
}
"""


@dataclass(frozen=True)
class Folder:
    """A folder in which `pushcast up` runs, with the environment that `make` puts there."""

    path: Path
    process: subprocess.Popen[str]
    said: str  # what `up` printed

    @property
    def bootstrap_servers(self) -> str:
        """Of the Kafka that `up` started."""
        return str(yaml.safe_load((self.path / "pushcast.yaml").read_text())["kafka"]["bootstrap_servers"])

    def shell(self, text: str) -> str:
        """Runs a block as pasted, each line for itself; fails with what it said. Returns its stdout."""
        environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        ran = subprocess.run(
            ["sh", "-e"],
            input=text,
            cwd=self.path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        assert ran.returncode == 0, f"{text}\n{ran.stdout}\n{ran.stderr}"
        return ran.stdout

    def here(self, text: str) -> str:
        """A program of the documents, with the port that this Kafka got."""
        return text.replace("127.0.0.1:9092", self.bootstrap_servers)

    def accepted(self, note: str) -> None:
        """Waits until `why` says that it reached the user's devices."""
        deadline = time.monotonic() + COMMAND_SECONDS
        while "accepted" not in (said := self.shell(f"pushcast why {note} --user u1")):
            assert time.monotonic() < deadline, said


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Folder]:
    path = tmp_path_factory.mktemp("up")
    (path / ".venv").symlink_to(Path(sys.executable).parents[1])
    (path / "schemas").symlink_to(ROOT / "schemas")
    [command, _, _] = blocks(README, "sh")[1:]
    process = subprocess.Popen(
        ["sh", "-c", f"exec {command.text}"], cwd=path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        said = _until_up(process)
        assert "Everything is up" in said, process.stderr.read()
        yield Folder(path, process, said)
    finally:
        process.terminate()
        process.wait(UP_SECONDS)
        process.stdout.close()
        process.stderr.close()


def _until_up(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    said = ""
    for line in iter(process.stdout.readline, ""):
        said += line
        if "Ctrl-C" in line:
            break
    return said


def test_the_commands_that_the_readme_shows_beside_it_work_when_pasted_as_a_block(up: Folder) -> None:
    said = up.shell(blocks(README, "sh")[3].text)
    for platform in ("apns", "fcm", "expo", "webpush"):
        assert f"{platform} u1-{platform}: accepted" in said
    assert "apns d1: accepted" in said
    assert "balanced             True" in said


def test_the_curl_line_that_up_prints_reaches_the_first_user(up: Folder) -> None:
    if shutil.which("curl") is None:
        pytest.skip("no curl on the path: the line that `up` prints is not run")
    said = json.loads(up.shell(up.said[up.said.index("  curl ") :].split("\n\n")[0]))
    assert said["record"].startswith("push.notification.normal.v1/")
    up.accepted(said["id"])


def test_the_curl_line_of_the_readme_reaches_the_first_user_with_the_key_that_up_prints(up: Folder) -> None:
    if shutil.which("curl") is None:
        pytest.skip("no curl on the path: the line of the README is not run")
    key = re.search(r"First key  (pc_\S+)", up.said)
    port = re.search(r"curl http://127.0.0.1:(\d+)", up.said)
    assert key is not None
    assert port is not None
    text = blocks(README, "sh")[2].text.replace(":8080/", f":{port[1]}/")
    up.accepted(json.loads(up.shell(f"KEY={key[1]}\n{text}"))["id"])


def test_the_console_that_up_names_opens_with_its_key_and_shows_what_became_of_a_notification(up: Folder) -> None:
    url, key = re.search(r"Console    (\S+)", up.said), re.search(r"First key  (pc_\S+)", up.said)
    assert url is not None
    assert key is not None
    headers = {"Sec-Fetch-Site": "same-origin"}
    with httpx.Client(base_url=url[1], headers=headers, trust_env=False, timeout=COMMAND_SECONDS) as client:
        assert client.post("/sign-in", data={"key": key[1]}).status_code == 303
        up.shell("""echo '{"user":"u1","app":"news","id":"console-1","title":"Goal!"}' | pushcast send - --wait""")
        why = client.get("/people", params={"user": "u1", "notification": "console-1"}).text
        assert "accepted" in why
        deadline = time.monotonic() + COMMAND_SECONDS
        while "4 of 4 ended" not in (report := client.get("/reports/console-1").text):
            assert time.monotonic() < deadline, report
            time.sleep(0.5)
        now = client.get("/").text
        assert "console-1" in now
        assert "planner" in client.get("/health").text


def test_a_console_that_is_killed_is_back_for_those_who_are_signed_in(up: Folder) -> None:
    """doors.md C, tests: its process is killed while a page is kept up to date."""
    url, key = re.search(r"Console    (\S+)", up.said), re.search(r"First key  (pc_\S+)", up.said)
    assert url is not None
    assert key is not None
    [file] = up.path.glob("**/run/*console*.json")
    before = json.loads(file.read_text())["pid"]
    headers = {"Sec-Fetch-Site": "same-origin"}
    with httpx.Client(base_url=url[1], headers=headers, trust_env=False, timeout=COMMAND_SECONDS) as client:
        assert client.post("/sign-in", data={"key": key[1]}).status_code == 303
        with client.stream("GET", "/live/") as live:
            lines = live.iter_lines()
            assert next(lines).startswith("retry: ")
            os.kill(before, signal.SIGKILL)
            with pytest.raises(httpx.RemoteProtocolError):
                deque(lines, maxlen=0)
        deadline = time.monotonic() + COMMAND_SECONDS
        status = None
        while status != 200:
            assert time.monotonic() < deadline, status
            with contextlib.suppress(httpx.TransportError):  # not yet listening
                status = client.get("/keys").status_code
            time.sleep(0.2)
        with client.stream("GET", "/live/") as live:
            assert next(live.iter_lines()).startswith("retry: ")
    [file] = [each for each in up.path.glob("**/run/*console*.json") if json.loads(each.read_text())["pid"] != before]


@pytest.mark.parametrize("language", [*COMMANDS, "curl"])
def test_o7_an_example_reaches_the_first_user_once_by_kafka_and_once_by_http(up: Folder, language: str) -> None:
    """doors.md O7."""
    [(url, key)] = re.findall(r"curl (http://[^/]+)/v1.*?Bearer (\S+?)\"", up.said, re.DOTALL)
    event = {"user": "u1", "app": "news", "title": f"From {language}"}
    by_http = json.dumps({**event, "id": f"{language}-http"})
    if language == "curl":
        up.shell(f"echo {shlex.quote(by_http)} | {EXAMPLES}/curl/send.sh {url} {key}")
    else:
        line = json.dumps({**event, "id": f"{language}-kafka"})
        ran = run(language, "produce", up.bootstrap_servers, "push.notification.urgent.v1", stdin=line)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        ran = run(language, "call", url, key, stdin=by_http)
        assert (ran.returncode, ran.stdout[:3]) == (0, "202"), ran.stdout + ran.stderr
        up.accepted(f"{language}-kafka")
    up.accepted(f"{language}-http")


def test_the_python_producer_of_the_readme_reaches_the_first_user(up: Folder) -> None:
    [program] = blocks(README, "python")
    _run_python(up, up.here(program.text))
    up.accepted("match-4711-goal-1")


def test_the_java_producer_of_the_readme_reaches_the_first_user(up: Folder) -> None:
    javac, java = shutil.which("javac"), shutil.which("java")
    if javac is None or java is None:
        pytest.skip("no javac on the path: the Java example of the README is not compiled")
    [program] = blocks(README, "java")
    (up.path / "Snippet.java").write_text(JAVA % up.here(program.text))
    environment = Environment.read()
    found = jars.fetch(jars.default_cache(environment), environment, offline=True)
    classes = os.pathsep.join([*map(str, found), str(up.path)])
    subprocess.run([javac, "-cp", classes, "-d", str(up.path), "Snippet.java"], cwd=up.path, check=True)
    subprocess.run([java, "-cp", classes, "Snippet"], check=True, capture_output=True, timeout=COMMAND_SECONDS)
    up.accepted("match-4711-goal-2")


def test_the_reader_of_docs_reading_reads_the_receipts_and_passes_the_fences_5_10(up: Folder) -> None:
    """Reproduction 5.10: a fence has no value, and a reader that follows the page does not fail on it."""
    records = read_all(up.bootstrap_servers, "push.receipt.v1", 8)
    assert any(record.value() is None for record in records), "each start of the settler leaves a fence"
    up.shell("pushcast send --user u1 --app news --title read --wait")
    [program] = blocks(ROOT / "docs" / "reading.md", "python")
    _run_python(up, up.here(program.text))
    rows = (up.path / "receipts.ndjson").read_text().splitlines()
    assert len(rows) >= 4
    assert all('"outcome": "accepted"' in row for row in rows)


def test_receipts_are_written_for_programs_that_read_no_avro(up: Folder) -> None:
    up.shell("pushcast send --user u1 --app news --title csv --wait")
    rows = list(csv.DictReader(io.StringIO(up.shell("pushcast receipts --since 5m --user u1 --output csv"))))
    assert {row["platform"] for row in rows} == {"apns", "fcm", "expo", "webpush"}
    assert len({row["delivery_id"] for row in rows}) == len(rows)
    assert len(up.shell("pushcast receipts").splitlines()) >= len(rows)


def test_o1_a_running_process_takes_a_changed_configuration_and_refuses_a_broken_one(up: Folder) -> None:
    """doors.md O1, and faults.md P2-15: a settler tells members and lag of every group."""
    [settler] = [json.loads(path.read_text()) for path in up.path.glob("**/run/*settler*.json")]

    def metrics() -> dict[str, float]:
        page = httpx.get(f"http://{settler['host']}:{settler['port']}/metrics").text
        rows = (line.rsplit(" ", 1) for line in page.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, value in rows}

    def until(name: str, wanted: float) -> None:
        deadline = time.monotonic() + COMMAND_SECONDS
        while (found := metrics().get(name)) != wanted:
            assert time.monotonic() < deadline, (name, found)
            time.sleep(0.5)

    until('pushcast_group_members{group="pushcast-plan-normal"}', 1)
    until('pushcast_group_lag_records{group="pushcast-send-apns-normal",topic="push.send.apns.normal.v1"}', 0)
    file = up.path / "pushcast.yaml"
    good = file.read_text()
    try:
        file.write_text(good + "\nclasses: [")
        os.kill(settler["pid"], signal.SIGHUP)
        until("pushcast_config_last_reload_successful", 0)
    finally:
        file.write_text(good)
    until("pushcast_config_last_reload_successful", 1)
    up.shell("pushcast send --user u1 --app news --title reloaded --wait")


def test_the_pauses_of_docs_isolation_work_when_pasted_as_a_block(up: Folder) -> None:
    [commands] = blocks(ROOT / "docs" / "isolation.md", "sh")
    assert "wrong environment" in up.shell(commands.text)


def test_a_second_up_in_the_same_folder_is_refused_with_the_pid_of_the_first(up: Folder) -> None:
    second = _pushcast(up.path, "up")
    assert second.returncode == 2
    assert f"up in this folder already (pid {up.process.pid}); `pushcast down` stops it" in second.stderr


def test_down_stops_everything_and_with_data_nothing_is_left(up: Folder) -> None:
    """Last in this module: it ends what the others use."""
    assert (up.path / ".pushcast" / "up" / "kafka").is_dir()
    assert _pushcast(up.path, "down").stdout == "stopped\n"
    assert up.process.wait(UP_SECONDS) == 0
    assert (up.path / ".pushcast" / "up" / "kafka").is_dir(), "data goes with --data only"
    gone = _pushcast(up.path, "down", "--data")
    assert (gone.returncode, gone.stdout) == (0, "nothing of `pushcast up` runs in this folder\n")
    assert not (up.path / ".pushcast").exists()
    assert not (up.path / "pushcast.yaml").exists()


def _run_python(folder: Folder, text: str) -> None:
    subprocess.run([sys.executable, "-c", text], cwd=folder.path, check=True, timeout=COMMAND_SECONDS)


def _pushcast(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).parent / "pushcast", *arguments],
        cwd=path,
        capture_output=True,
        text=True,
        timeout=UP_SECONDS,
        check=False,
    )
