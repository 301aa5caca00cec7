"""The harness's own parts, without Kafka: what they call malformed, broken or wrong really is."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest

from faults import clocked
from faults.__main__ import CALIBRATION_US, patience_of
from faults.books import Snapshot, Verdict
from faults.crew import Crew
from faults.devices import Rows
from faults.rig import SHORT, Rig, roles
from faults.scenarios.poison import KINDS, malformed
from faults.scenarios.table import cut_short, deleted, older
from faults.timed import Timed
from pushcast.config.settings import Settings
from pushcast.demo.strikes import Exposure
from pushcast.demo.timed import CLASSES
from pushcast.demo.world import World
from pushcast.model.device import AddressKind, DeviceRow, DeviceState
from pushcast.model.errors import InvalidInput
from pushcast.model.words import Lane, Platform
from pushcast.wire import topics
from pushcast.wire.devices import row_fences
from pushcast.wire.devices.devices import encode_row
from pushcast.wire.events.class_rules import ClassRule
from pushcast.wire.events.notifications import NotificationDecoder
from pushcast.wire.keys import user_of


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_every_kind_of_poison_is_refused_by_the_decoder_whatever_the_seed(kind: str, seed: int) -> None:
    decoder = NotificationDecoder(("news", "chat"), {"default": ClassRule(60_000)})
    key, value = KINDS[kind](random.Random(seed))
    with pytest.raises(InvalidInput):
        decoder.decode(user_of(key), value, 1_800_000_000_000)


def test_poison_comes_in_all_kinds_in_turn() -> None:
    made = {malformed(number, random.Random(0)) for number in range(len(KINDS))}
    assert len(made) == len(KINDS)
    assert len(KINDS) <= SHORT.bad


@pytest.mark.parametrize("lane", Lane)
def test_timed_events_of_all_kinds_are_taken_by_the_decoder_and_people_do_something_meanwhile(lane: Lane) -> None:
    classes = {name: ClassRule(60_000) for name in ("default", *CLASSES)}
    decoder, now_ms = NotificationDecoder(("news", "chat"), classes), round(time.time() * 1000)
    timed, beside = Timed(random.Random(1)), Counter[str]()
    seen: set[frozenset[str]] = set()
    for number in range(2_000):
        event = {"id": f"n{number}", "app": "news", "title": "t"}
        beside.update(each.topic for each in timed.vary("ann", event, lane))
        decoder.decode("ann", orjson.dumps(event), now_ms)
        seen.add(frozenset(event))
    assert len(seen) > 5
    # A planner refuses it there: an event of the load would be a dead letter, and the books would not balance.
    assert any("spread_seconds" in fields for fields in seen) == (lane is not Lane.URGENT)
    assert beside.keys() == {topics.CANCEL, topics.ENGAGEMENT, topics.DEVICE_CHANGED}
    assert timed.written


def verdict(exposures: list[Exposure] | None = None, **changes: int) -> Verdict:
    numbers = {"notifications": 10, "planned": 12, "accepted": 11, "invalid": 1} | changes
    twice, planned_twice = numbers.pop("reached_twice", 0), numbers.pop("planned_twice", 0)
    provider = numbers.pop("accepted_at_provider", 11 + twice)
    counts = Snapshot(Counter(numbers), planned_twice, provider, twice)
    made = Verdict("test", 1, 10, counts, exposures or [], [], {}, 1.0)
    made.judge()
    return made


def test_a_balance_passes() -> None:
    assert verdict().passed


@pytest.mark.parametrize(
    "changes",
    [
        {"unaccounted": 1},
        {"notifications": 9},
        {"accepted": 10},
        {"planned_twice": 1},
        {"reached_twice": 1},
        {"accepted_at_provider": 10},
    ],
)
def test_each_broken_promise_fails(changes: dict[str, int]) -> None:
    assert not verdict(None, **changes).passed


def test_copies_are_allowed_up_to_what_was_under_way_when_senders_were_struck() -> None:
    exposures = [Exposure("sender-bulk", 2, 1, 0), Exposure("sender-normal", 0, 0, 1)]
    assert verdict(exposures, reached_twice=4).passed
    assert not verdict(exposures, reached_twice=5).passed


def test_a_later_snapshot_counts_from_an_earlier_one() -> None:
    before = Snapshot(Counter(planned=5), 1, 5, 2)
    after = Snapshot(Counter(planned=9, dead=1), 1, 9, 4).since(before)
    assert after.accounts == Counter(planned=4, dead=1)
    assert (after.planned_twice, after.accepted_at_provider, after.reached_twice) == (0, 4, 2)


def test_damages_do_what_they_say(tmp_path: Path) -> None:
    folder, copy = tmp_path / "db", tmp_path / "copy"
    for path in (folder, copy):
        path.mkdir()
        (path / "CURRENT").write_text(f"{path.name} " * 100)
    cut_short(folder, {}, random.Random(1))
    assert (folder / "CURRENT").stat().st_size < 200
    older(folder, {folder: copy}, random.Random(1))
    assert (folder / "CURRENT").read_text().startswith("copy ")
    deleted(folder, {}, random.Random(1))
    assert not folder.exists()


def row(state: DeviceState) -> bytes:
    known: dict[str, Any] = {"key_id": "", "token_hash": b"h" * 16, "registered_at": 1, "seen_at": 1}
    return encode_row(DeviceRow("news", "d", Platform.APNS, AddressKind.TOKEN, b"t", state=state, **known))


def test_rows_of_fenced_off_registrars_and_fences_are_no_devices() -> None:
    rows = Rows()
    origin = [("push-origin", b"register/0")]
    old, new = [*origin, ("push-epoch", b"1")], [*origin, ("push-epoch", b"2")]
    rows.add(0, 0, b"ann\0news\0d", row(DeviceState.ACTIVE), old)
    rows.add(0, 1, b"bob\0news\0d", row(DeviceState.ACTIVE), old)
    for offset, (key, value) in enumerate(row_fences.records("register/0", 2).items(), 2):
        rows.add(0, offset, key, value, [*new, ("push-fence", b"1")])
    rows.add(0, 4, b"ann\0news\0d", None, old)
    rows.add(0, 5, b"bob\0news\0d", row(DeviceState.SUSPENDED), new)
    assert rows.active() == {("ann", "d")}


PROGRAM = """
import sys, time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from faults import clocked
clocked.install(Path(sys.argv[1]))
from pushcast.model.clock import SystemClock
print(SystemClock().now_ms(), flush=True)
sys.stdin.readline()
print(SystemClock().now_ms(), int(time.time() * 1000), flush=True)
"""


def test_a_moved_clock_moves_the_running_process_and_nobody_else(tmp_path: Path) -> None:
    path = tmp_path / "clock"
    clocked.move(path, 0)
    tests = str(Path(__file__).parent.parent)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([tests, os.environ.get("PYTHONPATH", "")])}
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    ) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        before = int(child.stdout.readline())
        clocked.move(path, 3600)
        child.stdin.write("\n")
        child.stdin.flush()
        moved, by_time = map(int, child.stdout.readline().split())
    now_ms = time.time() * 1000
    assert before <= now_ms
    assert moved - before > 3_500_000
    assert moved - now_ms > 3_000_000
    assert abs(by_time - moved) < 60_000


def test_members_are_found_by_each_of_their_roles_and_once(tmp_path: Path) -> None:
    world = SimpleNamespace(settings=Settings.model_validate({"apps": {"news": {"expo": {}}}}), folder=tmp_path)
    crew = Crew(cast(World, world), [Lane.URGENT])
    assert crew.names("settler") == crew.names("registrar") == ["registrar-settler-keeper"]
    rig = cast(Rig, SimpleNamespace(crew=crew))
    assert roles(rig, "planner", "settler", "registrar") == ["planner-urgent", "registrar-settler-keeper"]


def test_a_slower_machine_is_waited_for_longer_and_a_faster_one_as_long() -> None:
    assert patience_of(CALIBRATION_US / 2) == 1.0
    assert patience_of(CALIBRATION_US) == 1.0
    assert patience_of(CALIBRATION_US * 3) == 3.0
