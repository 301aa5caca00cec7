"""Reporters on a real Kafka: killed, moved, started anew. Numbers are those of the acceptance facts (doors.md, D)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from flow.kafka_tools import produce, read_all
from flow.processes import pushcast
from pushcast.config.settings import Settings
from pushcast.kafka.embedded import temporary_cluster
from pushcast.kafka.switchboard import read_whole
from pushcast.model.ids import partition_of
from pushcast.report.coordinator import Coordinator
from pushcast.report.fetch import Fetcher
from pushcast.report.goal import goal_of
from pushcast.wire import topics
from pushcast.wire.control.reporters import Reporters
from pushcast.wire.schemas import FRAME_BYTES, avro_type
from twins.books import planned, receipt

PARTITIONS = 4
DEADLINE_SECONDS = 60.0
NOTES = 40


@dataclass(frozen=True)
class Place:
    """A cluster with the product's topics and books of 40 notifications."""

    servers: str
    folder: Path
    environment: dict[str, str]

    def pushcast(self, *arguments: str) -> Any:
        return json.loads(pushcast(self.environment, *arguments, "--output", "json"))

    def until(self, true: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The list of reports, once it is so."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not true(found := self.pushcast("report", "list", "--since", "2020-01-01T00:00:00Z", "--limit", "100")):
            assert time.monotonic() < deadline, found
            time.sleep(0.3)
        return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("reporter")
    with temporary_cluster() as cluster:
        tree = {"kafka": {"bootstrap_servers": cluster.bootstrap_servers, "partitions": PARTITIONS}}
        tree["classes"] = {"breaking": {"report": "full"}}
        (folder / "pushcast.yaml").write_text(yaml.safe_dump(tree | {"data_dir": str(folder / "data")}))
        environment = os.environ | {"PUSHCAST_CONFIG": str(folder / "pushcast.yaml")}
        found = Place(cluster.bootstrap_servers, folder, environment)
        pushcast(environment, "topology", "apply")
        write_books(found, range(NOTES))
        yield found


def write_books(place: Place, numbers: range) -> None:
    """Each notification has two devices; one of ten delivered twice, one of ten with a copy of its receipt."""
    plans: list[tuple[int, bytes | None, bytes | None]] = []
    receipts: list[tuple[int, bytes | None, bytes | None]] = []
    now_ms = time.time_ns() // 1_000_000
    for number in numbers:
        user = f"u-{number}"
        partition = partition_of(user.encode(), PARTITIONS)
        plans.append((partition, None, planned((number, f"n-{number}", {"apns": 2}, ""), created_at=now_ms)))
        for device in ("a", "b"):
            value = receipt(f"n-{number}", user, device, created_at=now_ms, ended_at=now_ms + number)
            receipts += [(partition, user.encode(), value)] * (2 if number % 10 == 0 else 1)
    produce(place.servers, topics.PLANNED, plans)
    produce(place.servers, topics.RECEIPT, receipts)


def whole(found: dict[str, Any], count: int) -> bool:
    """Whether every reporter has answered and everything has ended."""
    rows = found["reports"]
    return len(rows) == count and not found["missing_partitions"] and all(row["open"] == 0 for row in rows)


def lasting(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Without the time of the answer."""
    return [{name: value for name, value in row.items() if name != "as_of"} for row in found["reports"]]


async def until_listening(place: Place, slot: str) -> None:
    log, deadline = place.folder / f"{slot}.log", time.monotonic() + DEADLINE_SECONDS
    while "listening" not in log.read_text():
        assert time.monotonic() < deadline, f"{slot} does not come to listen"
        await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def reporter(place: Place, slot: str, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    command = ("-m", "pushcast", "run", "reporter", "--slot", slot)
    with (place.folder / f"{slot}.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, *command, env=place.environment | environment, stderr=log
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.mark.timeout(300)
async def test_of_two_reporters_with_one_slot_on_two_hosts_the_first_ends_and_says_why(
    place: Place, tmp_path: Path
) -> None:
    """Restarted by its supervisor it would take the partitions back, and so on: it is left alone with exit code 2."""
    async with reporter(place, "same") as first:
        await asyncio.to_thread(place.until, lambda found: whole(found, NOTES))
        async with reporter(place, "same", PUSHCAST_DATA_DIR=str(tmp_path)) as second:
            assert await asyncio.wait_for(first.wait(), DEADLINE_SECONDS) == 2
            await asyncio.to_thread(place.until, lambda found: whole(found, NOTES))
            second.terminate()
            assert await second.wait() == 0
    assert "another reporter has this one's slot" in (place.folder / "same.log").read_text()


async def until_published(place: Place) -> None:
    """The last sums of each note and partition in push.report.v1 add up to the reports."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        messages = await asyncio.to_thread(read_all, place.servers, topics.REPORT)
        rows = [json.loads(value or b"") for value in {each.key(): each.value() for each in messages}.values()]
        if (len(rows), sum(row["accepted"] for row in rows)) == (NOTES, 2 * NOTES):
            break
        assert time.monotonic() < deadline, rows
        await asyncio.sleep(0.5)
    assert {(row["state"], row["planned"], row["open"]) for row in rows} == {("settled", 2, 0)}


@pytest.mark.timeout(420)
async def test_r2_r3_r5_reports_are_the_same_after_kills_copies_and_a_lost_disk(place: Place) -> None:
    async with reporter(place, "one"):
        before = await asyncio.to_thread(place.until, lambda found: whole(found, NOTES))
    rows = {row["id"]: row for row in before["reports"]}
    assert all(
        (row["planned"], row["outcomes"]["accepted"], row["state"]) == (2, 2, "settled") for row in rows.values()
    )
    assert {note for note, row in rows.items() if row["copies_of_receipts"]} == {f"n-{n}" for n in range(0, NOTES, 10)}
    for kill in range(20):
        async with reporter(place, "one"):
            await asyncio.sleep(0.4 + 0.05 * kill)  # killed while it starts, while it takes over, or while it reads
    async with reporter(place, "one"):
        after = await asyncio.to_thread(place.until, lambda found: whole(found, NOTES))
    assert lasting(after) == lasting(before)
    shutil.rmtree(place.folder / "data" / "pushcast-report-one")
    async with reporter(place, "one") as process:
        anew = await asyncio.to_thread(place.until, lambda found: whole(found, NOTES))
        process.terminate()
        assert await process.wait() == 0
    assert lasting(anew) == lasting(before)
    async with reporter(place, "one"):
        await until_published(place)


@pytest.mark.timeout(300)
async def test_r6_two_reporters_answer_together_and_one_takes_over_from_the_other(place: Place) -> None:
    async with reporter(place, "one"):
        await asyncio.to_thread(place.until, lambda found: whole(found, NOTES))
        async with reporter(place, "two") as second:
            # The first one alone is whole, too, as long as the second one starts.
            await until_listening(place, "two")
            shared = await asyncio.to_thread(place.until, lambda found: whole(found, NOTES))
            second.terminate()
            assert await second.wait() == 0
        alone = await asyncio.to_thread(place.until, lambda found: whole(found, NOTES))
    assert lasting(shared) == lasting(alone)
    shown = [place.folder / f"{slot}.log" for slot in ("one", "two")]
    assert all("Traceback" not in each.read_text() for each in shown)


@pytest.mark.timeout(300)
async def test_a_standby_answers_while_the_owner_stands_still_and_after_kills_of_both(place: Place) -> None:
    standby = {"PUSHCAST_REPORTS__STANDBY": "true"}
    async with reporter(place, "one") as owner:
        before = await asyncio.to_thread(place.until, lambda found: whole(found, NOTES))
        for kill in range(5):
            async with reporter(place, "other", **standby):
                await asyncio.sleep(0.5 + 0.3 * kill)  # killed while it starts, or while it reads
        async with reporter(place, "other", **standby):
            owner.send_signal(signal.SIGSTOP)
            still = await asyncio.to_thread(place.until, lambda found: whole(found, NOTES))
            owner.kill()
            gone = await asyncio.to_thread(place.until, lambda found: whole(found, NOTES))
    assert lasting(still) == lasting(gone) == lasting(before)


@pytest.mark.timeout(300)
async def test_the_reporter_that_has_partition_0_exports_the_days_that_are_over(place: Place, tmp_path: Path) -> None:
    folder = tmp_path / "export"
    more = {"PUSHCAST_REPORTS__EXPORT__FOLDER": str(folder), "PUSHCAST_REPORTS__EXPORT__AFTER_SECONDS": "0"}
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date()
    async with reporter(place, "exports", **more) as process:
        deadline = time.monotonic() + DEADLINE_SECONDS * 4  # six exports, each a process of its own
        marker, log = folder / "receipts" / f"date={yesterday}" / "_SUCCESS", place.folder / "exports.log"
        while not marker.exists() or log.read_text().count("day_exported") < 6:
            assert time.monotonic() < deadline, log.read_text()
            await asyncio.sleep(0.3)
        process.terminate()
        assert await process.wait() == 0
    days = json.loads((folder / "manifest.json").read_text())
    assert len(days) == 6
    assert all(set(spans) == {str(number) for number in range(PARTITIONS)} for spans in days.values())
    said = (place.folder / "exports.log").read_text()
    assert (said.count("day_exported"), said.count("day_not_exported")) == (6, 0)


class Registry(BaseHTTPRequestHandler):
    """Schema 7 is that of engagement, 8 that of device changes."""

    def do_GET(self) -> None:
        name = {"7": "engagement", "8": "device_change"}[self.path.rpartition("/")[2]]
        body = json.dumps({"schema": json.dumps(avro_type(name).source)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


async def deliveries_of(place: Place, user: str) -> dict[str, Any]:
    """As a gateway asks for them."""
    settings, known, fetcher = (
        Settings.model_validate(yaml.safe_load((place.folder / "pushcast.yaml").read_text())),
        Reporters(),
        Fetcher(None),
    )
    await asyncio.to_thread(read_whole, settings, topics.WHERE, known)
    try:
        found = await Coordinator(
            known.urls, PARTITIONS, fetcher, lambda: time.time_ns() // 1_000_000, known.standbys, goal_of(settings)
        ).deliveries(user, limit=100)
    finally:
        await fetcher.close()
    assert found is not None
    return found


@pytest.mark.timeout(300)
async def test_erasures_and_engagement_in_frames_of_a_registry_wait_while_it_is_away_and_receipts_do_not(
    place: Place, tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    opened = {"event": "opened", "ids": ["n-7"], "app": "news", "device": "a"}
    for topic, user, schema_id, value in (
        (topics.ENGAGEMENT, "u-7", 7, avro_type("engagement").encode(opened)),
        (topics.DEVICE_CHANGED, "u-8", 8, avro_type("device_change").encode({"op": "forget_user"})),
    ):
        framed = b"\0" + schema_id.to_bytes(4, "big") + value[FRAME_BYTES:]
        produce(place.servers, topic, [(partition_of(user.encode(), PARTITIONS), user.encode(), framed)])
    held = sorted({partition_of(user, PARTITIONS) for user in (b"u-7", b"u-8")})
    more = {"PUSHCAST_SCHEMAS__REGISTRY_URL": f"http://127.0.0.1:{port}", "PUSHCAST_DATA_DIR": str(tmp_path)}

    def row_of(found: dict[str, Any]) -> dict[str, Any]:
        return next((row for row in found["reports"] if row["id"] == "n-7"), {"engagement": {"opened": 0}})

    async with reporter(place, "registry", **more):
        away = await asyncio.to_thread(
            place.until,
            lambda found: len(found["reports"]) == NOTES and found["missing_partitions"] == held
            and all(row["open"] == 0 for row in found["reports"]),
        )  # fmt: skip
        assert row_of(away)["engagement"]["opened"] == 0
        assert len((await deliveries_of(place, "u-8"))["deliveries"]) == 2
        server = ThreadingHTTPServer(("127.0.0.1", port), Registry)
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        try:
            back = await asyncio.to_thread(
                place.until, lambda found: whole(found, NOTES) and row_of(found)["engagement"]["opened"] == 1
            )
        finally:
            server.shutdown()
            server.server_close()
        assert len(back["reports"]) == NOTES
        gone = await deliveries_of(place, "u-8")
        assert (gone["deliveries"], gone["complete"]) == ([], True)
    said = (place.folder / "registry.log").read_text()
    assert "schema registry: ConnectError" in said
    assert "Traceback" not in said
