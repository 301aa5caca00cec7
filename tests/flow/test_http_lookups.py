"""What is asked by HTTP of a whole Pushcast on a real Kafka: timers, audiences, reports (doors.md, D)."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from pushcast.demo.up import open_door
from pushcast.demo.world import Options, World, ready
from pushcast.runtime import whereabouts
from pushcast.runtime.child import child_command

pytestmark = pytest.mark.timeout(400)
PARTITIONS = 4
SECONDS = 120.0
HOUR_MS = 3_600_000
FOLLOWERS = [f"fan-{number}" for number in range(24)]
TOPIC = "team/arsenal"


class Door:
    """The gateway of a whole Pushcast, as a client sees it."""

    def __init__(self, world: World, client: httpx.Client) -> None:
        self.world, self._client = world, client

    def ask(self, method: str, path: str, body: Any = None, **query: Any) -> httpx.Response:
        return self._client.request(method, path, json=body, params=query)

    def get(self, path: str, **query: Any) -> Any:
        found = self.ask("GET", path, **query)
        assert found.status_code == 200, found.text
        return found.json()

    def until(self, path: str, true: Callable[[Any], bool], status: int = 200, **query: Any) -> Any:
        """What it answers once it is so."""
        deadline = time.monotonic() + SECONDS
        while True:
            found = self.ask("GET", path, **query)
            if found.status_code == status and true(found.json()):
                return found.json()
            assert time.monotonic() < deadline, f"{path}: {found.text}\n{self.world.log_tail()}"
            time.sleep(0.2)

    def register(self, user: str, **fields: Any) -> None:
        token = os.urandom(32).hex()
        path = f"/v1/users/{user}/devices/news/d"
        answer = self.ask("PUT", path, {"platform": "apns", "token": token, **fields})
        assert answer.status_code == 202, answer.text

    def send(self, user: str, note: str, **fields: Any) -> Any:
        body = {"user": user, "app": "news", "id": note, "title": note, **fields}
        answer = self.ask("POST", "/v1/notifications", body)
        assert answer.status_code == 202, answer.text
        return answer.json()

    def schedule(self, user: str, *notes: str) -> None:
        """In an hour; returns when the keeper has them."""
        due_at = time.time_ns() // 1_000_000 + HOUR_MS
        for note in notes:
            self.send(user, note, deliver_at=due_at)
        wanted = set(notes)
        self.until(
            f"/v1/users/{user}/scheduled", lambda said: wanted <= {each["notification"] for each in said["timers"]}
        )


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    opened = open_door(tmp_path_factory.mktemp("door"))
    options = Options(
        platforms=("apns",),
        apps=("news",),
        transient_errors=0.0,
        sections={
            "classes": {"default": {"window_seconds": 0.05, "report": "full"}},
            "gateway": {"port": opened.port, "keys_file": str(opened.keys_file)},
        },
        overrides={"kafka": {"partitions": PARTITIONS}},
    )
    headers = {"Authorization": f"Bearer {opened.key}"}
    url = f"http://127.0.0.1:{opened.port}"
    with (
        World(lambda _: None, options) as world,
        reporter(world),
        httpx.Client(base_url=url, headers=headers, trust_env=False, verify=False, timeout=SECONDS) as client,
    ):
        made = Door(world, client)
        for user in ("ann", *FOLLOWERS):
            made.register(user, topics=[TOPIC] if user in FOLLOWERS else [])
        for user in ("ann", *FOLLOWERS):
            made.until(f"/v1/users/{user}/devices", lambda said: len(said["devices"]) == 1)
        yield made


@contextmanager
def reporter(world: World) -> Iterator[None]:
    """One with a slot of its own, beside the roles of the supervisor: a test stops it. Entered when it is ready."""
    command = child_command("run", "reporter", "--slot", "test")
    process = subprocess.Popen(command, stdout=world.log_file, stderr=world.log_file, env=world.environment)
    try:
        deadline = time.monotonic() + SECONDS
        entries = whereabouts.read_all
        while not any(each.pid == process.pid and ready(each) for each in entries(world.settings.data_dir)):
            assert process.poll() is None, world.log_tail()
            assert time.monotonic() < deadline, world.log_tail()
            time.sleep(0.2)
        yield
    finally:
        process.terminate()
        process.wait(SECONDS)


def test_what_waits_is_shown_with_its_time_and_called_off_before_it(door: Door) -> None:
    door.schedule("ann", "later")
    [timer] = door.get("/v1/users/ann/scheduled/later")["timers"]
    assert (timer["notification"], timer["released_at"]) == ("later", None)
    assert timer["due_at"] > timer["written_at"]
    said = door.get("/v1/users/ann/why", notification="later")
    assert said["verdict"]["answer"] == "waiting"
    door.until("/v1/reports/later", lambda report: report["state"] == "held")
    answer = door.ask("DELETE", "/v1/users/ann/scheduled/later")
    assert answer.status_code == 202
    assert answer.json()["cancelled"] == ["later"]
    assert answer.json()["record"].startswith("push.cancel.v1/")
    door.until("/v1/users/ann/scheduled/later", lambda _: True, status=404)
    report = door.until("/v1/reports/later", lambda report: report["state"] == "settled")
    assert report["outcomes"]["cancelled"] == 1
    assert door.ask("DELETE", "/v1/users/ann/scheduled/later").status_code == 404
    assert "cancelled" in door.get("/v1/users/ann/why", notification="later")["answer"]


def test_all_that_waits_for_a_user_is_called_off_and_nobody_elses(door: Door) -> None:
    other = FOLLOWERS[0]
    door.schedule(other, "kept")
    door.schedule("ann", "one", "two")
    answer = door.ask("DELETE", "/v1/users/ann/scheduled")
    assert (answer.status_code, sorted(answer.json()["cancelled"])) == (202, ["one", "two"])
    door.until("/v1/users/ann/scheduled", lambda said: said["waiting"] == 0)
    assert [each["notification"] for each in door.get(f"/v1/users/{other}/scheduled")["timers"]] == ["kept"]
    nothing = door.ask("DELETE", "/v1/users/ann/scheduled")
    assert (nothing.status_code, nothing.json()) == (202, {"user": "ann", "cancelled": [], "record": None})


def test_g30_a_cancel_is_taken_before_it_left_refused_after_the_last_receipt_and_taken_of_an_unknown_id(
    door: Door,
) -> None:
    door.schedule("ann", "early")
    door.until("/v1/reports/early", lambda report: report["state"] == "held")
    early = door.ask("DELETE", "/v1/notifications/early", user="ann")
    assert (early.status_code, early.json()["state"]) == (202, "cancelled")
    door.until("/v1/reports/early", lambda report: report["outcomes"]["cancelled"] == 1)
    said = door.send("ann", "gone")
    door.until("/v1/reports/gone", lambda report: report["outcomes"]["accepted"] == 1, after=said["record"])
    late = door.ask("DELETE", "/v1/notifications/gone", user="ann")
    assert (late.status_code, late.json()["type"]) == (409, "/problems/already_ended")
    unknown = door.ask("DELETE", "/v1/notifications/never", user="ann")
    assert (unknown.status_code, unknown.json()["state"]) == (202, "unknown")


def test_a_rehearsal_says_who_would_get_it_and_nobody_does(door: Door) -> None:
    event = {"user": "ann", "app": "news", "id": "dress", "title": "Dress", "rehearse": True}
    found = door.ask("POST", "/v1/notifications", event)
    assert (found.status_code, found.json()["per_platform"]) == (200, {"apns": 1})
    nobody = door.ask("POST", "/v1/notifications", {**event, "user": "nobody"}).json()
    assert (nobody["deliveries"], nobody["ends"]) == (0, {"suppressed no_devices": 1})
    audience = {"app": "news", "title": "Dress", "id": "dress", "audience": {"topics": [TOPIC]}, "rehearse": True}
    cast = door.ask("POST", "/v1/broadcasts", audience)
    assert (cast.status_code, cast.json()["devices"], cast.json()["exact"]) == (200, len(FOLLOWERS), True)
    said = door.send("ann", "after")
    door.until("/v1/reports/after", lambda report: report["state"] == "settled", after=said["record"])
    assert door.ask("GET", "/v1/reports/dress").status_code == 404
    assert door.get("/v1/users/ann/why", notification="dress")["verdict"]["answer"] == "unknown"


def test_an_audience_is_counted_and_then_reached(door: Door) -> None:
    variants = [{"name": name, "share": 5000, "title": f"Derby {name}"} for name in ("a", "b")]
    split = {"unit": "user", "salt": "s", "holdout": 0, "variants": variants}
    event = {"id": "derby", "app": "news", "title": "Derby!", "audience": {"topics": [TOPIC]}, "split": split}
    counted = door.ask("POST", "/v1/broadcasts/count", event)
    assert counted.status_code == 200, counted.text
    assert (counted.json()["devices"], counted.json()["exact"]) == (len(FOLLOWERS), True)
    nobody = door.ask("POST", "/v1/broadcasts/count", {**event, "id": "none", "audience": {"topics": ["team/none"]}})
    assert (nobody.status_code, nobody.json()["devices"]) == (200, 0)
    quick = door.ask("POST", "/v1/broadcasts/count", {**event, "id": "quick"}, quick="true")
    assert (quick.status_code, quick.json()["exact"]) == (200, False)
    assert door.ask("GET", "/v1/broadcasts/never").status_code == 404
    sent = door.ask("POST", "/v1/broadcasts", event)
    assert (sent.status_code, sent.json()["id"]) == (202, "derby"), "what was only counted has not used up the id"
    done = door.until("/v1/broadcasts/derby", lambda said: said["state"] == "done" and said["ended"] == len(FOLLOWERS))
    assert (done["planned"], done["receipts"]) == (len(FOLLOWERS), {"accepted": len(FOLLOWERS)})
    assert done["scanned"] == done["rows"] >= len(FOLLOWERS), "what a walk tests, and has tested when it is over"
    assert done["per_variant"].keys() == {"a", "b"}
    assert sum(done["per_variant"].values()) == len(FOLLOWERS)
    report = door.until("/v1/reports/derby", lambda said: said["state"] == "settled" and said["planned"] > 0)
    assert (report["kind"], report["matched"], report["outcomes"]["accepted"]) == ("broadcast", 24, 24)
    assert (report["slo"]["share"], report["slo"]["met"]) == (1.0, True)
    of_one = door.get(f"/v1/users/{FOLLOWERS[0]}/deliveries", app="news", outcome="accepted")
    assert "derby" in {each["notification"] for each in of_one["deliveries"]}
    assert door.get(f"/v1/users/{FOLLOWERS[0]}/deliveries", outcome="dead")["deliveries"] == []
    found = door.get("/v1/examples", report="derby", outcome="accepted", limit="100")
    assert {each["user"] for each in found["examples"]} == set(FOLLOWERS)
    assert (found["whole"], found["complete"]) == (True, True)
    assert door.get("/v1/examples", app="news", reason="device_unregistered")["examples"] == []


def test_r5_reports_name_what_is_missing_until_a_lost_store_is_built_anew_and_say_the_same_then(
    door: Door, tmp_path: Path
) -> None:
    """Last in this module: it stops the reporter of the others."""
    for number, user in enumerate(FOLLOWERS):
        door.send(user, "round", title=f"{number}")

    def settled(report: dict[str, Any]) -> bool:
        return bool(report["complete"] and report["outcomes"]["accepted"] == len(FOLLOWERS))

    before = door.until("/v1/reports/round", settled)
    history = door.get(f"/v1/users/{FOLLOWERS[1]}/deliveries")
    assert history["complete"]
    data = door.world.settings.data_dir
    [entry] = [each for each in whereabouts.read_all(data) if each.name == "reporter"]
    os.kill(entry.pid, 15)
    gone = door.until("/v1/reports/round", lambda said: not said["complete"])
    assert gone == {"id": "round", "complete": False, "missing_partitions": list(range(PARTITIONS))}
    unknown = door.ask("GET", f"/v1/users/{FOLLOWERS[1]}/deliveries")
    assert (unknown.status_code, unknown.json()["type"]) == (503, "/problems/reports_unavailable")
    shutil.rmtree(data / "pushcast-report-test")
    with reporter(door.world):
        said: list[dict[str, Any]] = []

        def whole(report: dict[str, Any]) -> bool:
            said.append(report)
            return settled(report)

        after = door.until("/v1/reports/round", whole)
        assert all(each["complete"] == (each["missing_partitions"] == []) for each in said)
        assert lasting(after) == lasting(before)
        again = door.until(f"/v1/users/{FOLLOWERS[1]}/deliveries", lambda found: found["complete"])
    assert lasting(again) == lasting(history)


def lasting(report: dict[str, Any]) -> dict[str, Any]:
    """Without the time of the answer."""
    return {name: value for name, value in report.items() if name != "as_of"}
