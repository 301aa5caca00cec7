"""A planner's copy of the devices table is deleted, cut short, or taken from an earlier time, while it was down.

Between the copy and the damage some devices get other tokens and some go. Afterwards no push may reach a token that was
no longer theirs, and every new one must be reached.
"""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import orjson
from confluent_kafka import Producer

from faults.rig import Rig, roles
from pushcast.demo.load import DeviceOf
from pushcast.demo.produce import produce, producer_of
from pushcast.model.errors import PushcastError
from pushcast.wire import topics

NAME = "table"
TITLE = "Table copies deleted, cut short, of an older owner"
CHANGED = 0.2  # share of the APNs devices
VISIBLE_SECONDS = 60.0
QUIET_SECONDS = 60.0


def story(rig: Rig) -> None:
    planners = list(roles(rig, "planner"))
    former: set[str] = set()
    damages: Counter[str] = Counter()
    assert rig.load is not None
    load = rig.load
    for cycle in range(rig.size.cycles):
        rig.wait(0.2, 1.0)
        copies = _copies(rig, planners, cycle)
        load.pause()
        former |= _change(rig, cycle)
        _await_visible(rig, planners)
        rig.require(rig.until(lambda: not rig.lag(), QUIET_SECONDS), "the load did not drain")
        before = _pushes(rig)
        for name in planners:
            rig.crew.kill(name)
            for number, folder in enumerate(_folders(rig, name)):
                damage = DAMAGES[(number + cycle) % len(DAMAGES)]
                damage(folder, copies[name], rig.rng)
                damages[damage.__name__] += 1
        rig.crew.start(*planners)
        load.resume()
        rig.crew.await_ready(*planners)
        rig.wait(rig.size.fault_seconds)
        load.pause()
        rig.require(rig.until(lambda: not rig.lag(), QUIET_SECONDS), "the load did not drain")
        after = _pushes(rig)
        wrong = sorted(token for token in former if after.get(token, 0) > before.get(token, 0))
        rig.require(not wrong, f"{len(wrong)} tokens got pushes that were no longer a device's")
        load.resume()
    rig.numbers |= {"damages": dict(damages), "tokens_changed": len(former)}


def deleted(folder: Path, _: Mapping[Path, Path], __: random.Random) -> None:
    """Nothing is left."""
    shutil.rmtree(folder)


def cut_short(folder: Path, _: Mapping[Path, Path], rng: random.Random) -> None:
    """Every file of the database ends somewhere in its first half."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.stat().st_size > 1:
            with path.open("r+b") as file:
                file.truncate(rng.randrange(path.stat().st_size // 2 + 1))


def older(folder: Path, copies: Mapping[Path, Path], _: random.Random) -> None:
    """As it was left some time ago."""
    shutil.rmtree(folder)
    shutil.copytree(copies[folder], folder)


DAMAGES = (deleted, cut_short, older)


def _folders(rig: Rig, name: str) -> list[Path]:
    """RocksDB directories of a planner: each has a file CURRENT."""
    lane = name.rpartition("-")[2]
    found = sorted({path.parent for path in rig.crew.member(name).data_dir.glob(f"pushcast-plan-{lane}*/**/CURRENT")})
    if not found:
        raise PushcastError(f"{name} has no table")
    return found


def _copies(rig: Rig, planners: list[str], number: int) -> dict[str, dict[Path, Path]]:
    """The tables as a process that died now would leave them: copied while it stands still."""
    copies: dict[str, dict[Path, Path]] = {}
    for name in planners:
        copies[name] = {}
        rig.crew.freeze(name)
        try:
            for index, folder in enumerate(_folders(rig, name)):
                target = rig.world.folder / "copies" / f"{number}-{name}-{index}"
                copies[name][folder] = Path(shutil.copytree(folder, target))
        finally:
            rig.crew.thaw(name)
    return copies


def _change(rig: Rig, number: int) -> set[str]:
    """New tokens for some devices, and others go; returns the tokens that are nobody's from now on."""
    producer = producer_of(rig.world.settings, log_level=0)
    former: set[str] = set()
    mine = [each for each in rig.devices if each.event["platform"] == "apns" and not each.dead]
    for index, device in enumerate(rig.rng.sample(mine, max(1, round(len(mine) * CHANGED)))):
        former.add(device.event["token"])
        if index % 4 == 3:
            event = {name: device.event[name] for name in ("app", "device")} | {"op": "unregister"}
            rig.unregistered.add((device.user, device.event["device"]))
        else:
            device.event["token"] = f"{rig.rng.getrandbits(28) + 0x10000000:08x}{number + 1:08x}" + f"{index:048x}"
            event = device.event
        _register(rig, producer, device, event)
    producer.flush()
    return former


def _register(rig: Rig, producer: Producer, device: DeviceOf, event: Mapping[str, object]) -> None:
    partitions = rig.world.settings.kafka.partitions
    produce(producer, topics.DEVICE_CHANGED, device.user, orjson.dumps(event), partitions, rig.now_ms())


def _await_visible(rig: Rig, planners: list[str]) -> None:
    books = rig.auditor.books

    def visible() -> bool:
        if books.lag("pushcast-register", topics.DEVICE_CHANGED).records:
            return False
        ends = books.end_offsets(topics.DEVICE)
        positions = [rig.crew.info(name)["tables"]["devices"] for name in planners]
        return all(int(seen.get(str(p), 0)) >= end for seen in positions for p, end in enumerate(ends))

    rig.require(rig.until(visible, VISIBLE_SECONDS), "changed devices did not become visible")


def _pushes(rig: Rig) -> dict[str, int]:
    """Accepted copies by APNs token."""
    found: dict[str, int] = {}
    for key, count in rig.world.simulators["apns"].control("/stats?detail=copies")["copies"].items():
        token = key.partition(":")[0]
        found[token] = found.get(token, 0) + count
    return found
