"""`pushcast run all` as the thing under test: every process of it, with Kafka and the simulators beside it."""

from __future__ import annotations

import os
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pushcast.bench import meter
from pushcast.bench.base import Options, Row
from pushcast.bench.cluster import PARTITIONS, BenchCluster, ProcessUnderTest, bench_cluster, ready_names
from pushcast.bench.planning import APP
from pushcast.bench.sink import Simulator, simulator
from pushcast.model.words import Platform
from pushcast.runtime import whereabouts
from pushcast.runtime.child import child_command
from pushcast.runtime.layout import ProcessPlan

READY_SECONDS: Final = 120.0
LOAD: Final = "load"
SIMULATOR: Final = "simulator"
BROKER: Final = "broker"
SUPERVISOR: Final = "supervisor"
#: Neither is part of an installation: a load comes from your services, and providers run on machines of theirs.
NOT_OURS: Final = frozenset({LOAD, SIMULATOR})


@dataclass(frozen=True, slots=True)
class Used:
    """What every process used between two looks, by name (`planner-normal`, `broker`, `simulator-apns`, `load`)."""

    seconds: float
    cpu_seconds: Mapping[str, float]
    rss_bytes: Mapping[str, int]

    def rows(self, name: str, items: int) -> list[Row]:
        """The whole, without load and simulators, then each role, broker, load and simulators."""
        cpu: defaultdict[str, float] = defaultdict(float)
        rss: Counter[str] = Counter()
        for process, seconds in self.cpu_seconds.items():
            part = part_of(process)
            cpu[part] += seconds
            rss[part] += self.rss_bytes[process]
        ours = [part for part in cpu if part not in NOT_OURS]
        whole = Row(name, items, self.seconds, sum(cpu[part] for part in ours), sum(rss[part] for part in ours))
        parts = [
            Row(f"{name}/{part}", items, self.seconds, cpu[part], rss[part]) for part in (*ours, *sorted(NOT_OURS))
        ]
        return [whole, *(part for part in parts if part.cpu_seconds)]


def part_of(process: str) -> str:
    """`planner` of `planner-urgent`."""
    return process.partition("-")[0]


class Whole:
    """The running roles and what they need."""

    def __init__(
        self, cluster: BenchCluster, simulators: Mapping[Platform, Simulator], roles: ProcessUnderTest
    ) -> None:
        self.roles = roles
        self._pids = {SUPERVISOR: roles.pid, LOAD: os.getpid()}
        self._pids |= {entry.name: entry.pid for entry in whereabouts.read_all(cluster.settings.data_dir)}
        for platform, each in simulators.items():
            if each.process is not None:
                self._pids[f"{SIMULATOR}-{platform}"] = each.process.pid
        for number, pid in enumerate(cluster.broker_pids):
            self._pids[BROKER if not number else f"{BROKER}-{number}"] = pid

    def look(self) -> dict[str, meter.Reading]:
        """Every process by name. Raises PushcastError when one is gone."""
        self.roles.check()
        return {name: meter.read(pid) for name, pid in self._pids.items()}

    def open_files(self) -> dict[str, int | None]:
        """Descriptors that each process has open, by name. Raises PushcastError when one is gone."""
        return {name: meter.open_files(pid) for name, pid in self._pids.items()}


def used(start: Mapping[str, meter.Reading], end: Mapping[str, meter.Reading]) -> Used:
    """What the processes used between two looks."""
    return Used(
        end[LOAD].at_seconds - start[LOAD].at_seconds,
        {name: round(reading.cpu_seconds - start[name].cpu_seconds, 3) for name, reading in end.items()},
        {name: reading.rss_bytes for name, reading in end.items()},
    )


@contextmanager
def every_platform(options: Options, partitions: int = PARTITIONS, brokers: int = 1) -> Iterator[BenchCluster]:
    """A cluster and a configuration of one app on all platforms, each with its simulator."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pushcast-bench-sim-")))
        sims = {platform: stack.enter_context(simulator(platform, folder / platform)) for platform in Platform}
        apps = {APP: {str(platform): sim.provider_settings() for platform, sim in sims.items()}}
        yield stack.enter_context(bench_cluster(options, {"apps": apps}, partitions, brokers))


@contextmanager
def run_all(
    cluster: BenchCluster, simulators: Mapping[Platform, Simulator], plans: Sequence[ProcessPlan], *options: str
) -> Iterator[Whole]:
    """`pushcast run all OPTIONS`, which starts these processes, from when all of them are ready."""
    wanted = {plan.name for plan in plans}
    with ProcessUnderTest(child_command("run", "all", *options), cluster.folder / "run-all.log") as roles:
        roles.until(lambda: wanted <= ready_names(cluster), "every role is ready", READY_SECONDS)
        yield Whole(cluster, simulators, roles)
