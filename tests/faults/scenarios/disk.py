"""No more room for a planner's table: writes fail in the middle of a stream of device changes.

How: RLIMIT_FSIZE on the planner's process (the same error path as a full disk: RocksDB's write fails, EFBIG in the
place of ENOSPC), because a small file system of its own needs root. Its log goes nowhere meanwhile.
"""

from __future__ import annotations

import orjson

from faults.rig import Rig, roles
from pushcast.demo.produce import produce, producer_of
from pushcast.wire import topics

NAME = "disk"
TITLE = "Disk full for a planner's table"
LIMIT_BYTES = 32_768
ROOM_SECONDS = 60.0


def story(rig: Rig) -> None:
    victim = rig.rng.choice(list(roles(rig, "planner")))
    rig.wait(0.5, 1.5)
    rig.crew.stop(victim)
    rig.crew.member(victim).file_bytes = LIMIT_BYTES
    rig.crew.start(victim)
    rig.crew.await_ready(victim)
    producer = producer_of(rig.world.settings, log_level=0)
    partitions = rig.world.settings.kafka.partitions
    live = [each for each in rig.devices if not each.dead]
    died = False

    def full() -> bool:
        nonlocal died
        for device in rig.rng.choices(live, k=20):
            event = device.event | {"app_version": f"9.{rig.rng.randrange(10_000)}"}
            produce(producer, topics.DEVICE_CHANGED, device.user, orjson.dumps(event), partitions, rig.now_ms())
        producer.poll(0)
        died = died or any(name.startswith(f"{victim} ") for name in rig.crew.deaths)
        return died

    rig.require(rig.until(full, ROOM_SECONDS), "the planner did not notice that its disk was full")
    rig.wait(rig.size.fault_seconds)
    producer.flush()
    rig.crew.member(victim).file_bytes = None
    rig.crew.kill(victim)
    rig.crew.start(victim)
    rig.crew.await_ready(victim)
    rig.wait(0.5, 1.5)
    rig.numbers |= {"died_for_want_of_room": sum(rig.crew.deaths.values())}
