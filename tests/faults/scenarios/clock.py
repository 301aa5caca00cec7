"""The wall clock of the roles jumps an hour ahead, back, an hour behind, and back, under load.

How: the roles run under `faults.clocked`, which moves `time.time` in their processes and nowhere else. Events carry the
true time; their time to live is a day, so that nothing may expire by the jump alone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from faults import clocked
from faults.rig import Rig, roles

NAME = "clock"
TITLE = "Wall clocks jump an hour ahead and behind"
HOUR_SECONDS = 3600.0
TESTS = Path(__file__).parent.parent.parent


def story(rig: Rig) -> None:
    victims = list(roles(rig, "planner", "sender", "settler", "registrar"))
    files = {name: rig.world.folder / f"{name}.clock" for name in victims}
    for name, path in files.items():
        clocked.move(path, 0)
        member = rig.crew.member(name)
        member.command = partial(_command, path)
        member.environment = {"PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])}
    rig.crew.stop(*victims)
    rig.crew.start(*victims)
    rig.crew.await_ready(*victims)
    jumps = 0
    for _ in range(1 if rig.size.short else max(1, rig.size.cycles // 4)):
        for seconds in (HOUR_SECONDS, 0.0, -HOUR_SECONDS, 0.0):
            # Not all at once: machines disagree for a while.
            rig.rng.shuffle(victims)
            for name in victims:
                clocked.move(files[name], seconds)
                jumps += 1
                rig.wait(0.0, rig.size.fault_seconds / len(victims))
            rig.wait(rig.size.fault_seconds)
    rig.numbers |= {"jumps": jumps}
    rig.afterwards(lambda: rig.require(not rig.crew.deaths, f"roles ended: {dict(rig.crew.deaths)}"))


def _command(path: Path, *arguments: str) -> Sequence[str]:
    return [sys.executable, "-m", "faults.clocked", str(path), str(os.getpid()), *arguments]
