"""Every role in one process, on a Kafka and simulators of its own: what a reproduction from a report needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pushcast.bench.cluster import ProcessUnderTest
from pushcast.demo.world import Options, World, ready
from pushcast.runtime import whereabouts
from pushcast.runtime.child import child_command

ROLES = ("registrar", "planner", "sender", "settler")
START_SECONDS = 120.0


@contextmanager
def one_process(roles: Sequence[str] = ROLES, **options: object) -> Iterator[tuple[World, ProcessUnderTest]]:
    """From when it is ready. `options`: of the world; its providers fail only when told."""
    chosen = Options(transient_errors=0.0, supervised=False, **options)  # type: ignore[arg-type]
    command = child_command("run", *roles)
    with World(lambda _: None, chosen) as world, ProcessUnderTest(command, world.folder / "process.log") as process:

        def is_ready() -> bool:
            found = whereabouts.read_all(world.settings.data_dir)
            return any(entry.pid == process.pid and ready(entry) for entry in found)

        process.until(is_ready, "the roles are ready", START_SECONDS)
        yield world, process
