"""The role processes of a world, each one in our hand: started, killed, frozen, thawed, stopped.

Unlike the product's supervisor it starts nothing again by itself unless asked to tend, and then at once; what ended
without our doing is counted with its exit code.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from pushcast.demo.simulated import ask, stop_process
from pushcast.demo.strikes import figures
from pushcast.demo.world import World, ready
from pushcast.model.errors import PushcastError
from pushcast.model.words import Lane, Platform
from pushcast.observe.catalogue import MetricName
from pushcast.runtime import whereabouts
from pushcast.runtime.child import child_command
from pushcast.runtime.layout import ProcessPlan, processes
from pushcast.runtime.whereabouts import Whereabouts

LOCAL = "local"
READY_SECONDS = 180.0
HOPELESS_DEATHS = 40  # a role that cannot start at all
GONE_SECONDS = 20.0
POLL_SECONDS = 0.05
COMPLAINTS = ("warning", "error", "critical", "Error", "Traceback", "File ")


@dataclass
class Member:
    """One process: a role's work under a slot of its own. `wanted`: it shall run."""

    plan: ProcessPlan
    slot: str
    data_dir: Path
    command: Callable[..., Sequence[str]] = child_command
    process: subprocess.Popen[bytes] | None = None
    wanted: bool = False
    frozen: bool = False
    environment: dict[str, str] = field(default_factory=dict)
    file_bytes: int | None = None  # RLIMIT_FSIZE: a longer file cannot be written; its log goes nowhere then

    @property
    def name(self) -> str:
        return self.plan.name if self.slot == LOCAL else f"{self.plan.name}@{self.slot}"


class Crew:
    """Use it in a `with` block: everything it started ends with it."""

    def __init__(self, world: World, lanes: Sequence[Lane], patience: float = 1.0) -> None:
        self._world = world
        self._ready_seconds = READY_SECONDS * patience
        self._members: dict[str, Member] = {}
        self.deaths: Counter[str] = Counter()  # `name exit-code`, of those that nobody here ended
        self.last_words: list[str] = []  # of those, and the last lines of their logs
        for plan in processes(world.settings, lanes, list(Platform)):
            self._add(plan, LOCAL)

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_: object) -> None:
        living = [member.process for member in self._members.values() if member.process is not None]
        for member in self._members.values():
            self.thaw(member.name)
            member.wanted = False
        for process in living:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in living:
            stop_process(process)

    def names(self, role: str = "") -> list[str]:
        """Members that have a role (`planner`; one may have several), the local ones; all without a role."""
        local = [name for name, member in self._members.items() if member.slot == LOCAL]
        return [name for name in local if not role or role in name.split("-")]

    def hire(self, name: str, slot: str, *, static: bool = True) -> str:
        """A second process beside the local one of this name, with data of its own; not started yet.

        A dynamic member (not `static`) gives its partitions up the moment it goes.
        """
        plan = self._members[name].plan
        return self._add(replace(plan, slot=slot if static else None), slot)

    def member(self, name: str) -> Member:
        return self._members[name]

    def start(self, *names: str) -> None:
        """Starts those that do not run; returns at once."""
        for name in names:
            member = self._members[name]
            member.wanted = True
            if member.process is None or member.process.poll() is not None:
                self._spawn(member)

    def start_all(self) -> None:
        """Thaws and starts every local member."""
        for name in self._members:
            self.thaw(name)
        self.start(*self.names())

    def await_ready(self, *names: str) -> None:
        """Blocks until they say so. Raises PushcastError when one does not in time; deaths meanwhile are mended."""
        deadline = time.monotonic() + self._ready_seconds
        waiting = list(names or self.names())
        while waiting := [name for name in waiting if not self._ready(name)]:
            self.tend()
            if time.monotonic() > deadline or sum(self.deaths.values()) > HOPELESS_DEATHS:
                raise PushcastError(
                    f"not ready: {waiting}, deaths {dict(self.deaths)}\n"
                    + "\n".join(f"{name}: {line}" for name in waiting for line in self.logs(name).splitlines()[-8:])
                )
            time.sleep(POLL_SECONDS)

    def tend(self) -> None:
        """Starts again what died unasked, and counts it."""
        for member in self._members.values():
            process = member.process
            if member.wanted and process is not None and (code := process.poll()) is not None:
                self.deaths[f"{member.name} {code}"] += 1
                if len(self.last_words) < HOPELESS_DEATHS:
                    path = self._log_path(member)
                    said = path.read_text(errors="replace").splitlines()[-6:] if path.exists() else []
                    self.last_words.append("\n".join([f"{member.name} {code}:", *(line[-500:] for line in said)]))
                self._spawn(member)

    def page(self, name: str) -> Whereabouts:
        """Where it can be asked. Raises PushcastError while it does not listen."""
        member = self._members[name]
        for entry in whereabouts.read_all(member.data_dir):
            if entry.name == member.plan.name and member.process is not None and entry.pid == member.process.pid:
                return entry
        raise PushcastError(f"{name} does not listen")

    def problems(self, name: str) -> list[str]:
        """What its /health/ready tells. Raises OSError, PushcastError."""
        page = self.page(name)
        try:
            with urllib.request.urlopen(f"http://{page.host}:{page.port}/health/ready", timeout=2) as answer:
                body = answer.read()
        except urllib.error.HTTPError as unready:
            body = unready.read()
        found: list[str] = json.loads(body)["problems"]
        return found

    def listens(self, name: str) -> bool:
        """Whether it can be asked; before that it has joined no group."""
        try:
            self.page(name)
        except PushcastError:
            return False
        return True

    def info(self, name: str) -> dict[str, Any]:
        """`/_info` of it. Raises OSError, PushcastError."""
        page = self.page(name)
        found: dict[str, Any] = ask(f"http://{page.host}:{page.port}/_info")
        return found

    def owns(self, name: str) -> bool:
        """Whether it is ready and has partitions of its own."""
        try:
            page = self.page(name)
            return ready(page) and figures(page).get(MetricName.PARTITIONS, 0) > 0
        except (OSError, PushcastError):
            return False

    def kill(self, name: str) -> None:
        """SIGKILL; blocks until it is gone."""
        member = self._members[name]
        member.wanted = False
        assert member.process is not None
        member.process.kill()
        member.process.wait(GONE_SECONDS)

    def stop(self, *names: str) -> None:
        """SIGTERM to all of them, then waits."""
        members = [self._members[name] for name in names]
        for member in members:
            member.wanted = False
            if member.process is not None and member.process.poll() is None:
                member.process.send_signal(signal.SIGTERM)
        for member in members:
            if member.process is not None:
                stop_process(member.process)

    def freeze(self, name: str) -> None:
        """SIGSTOP: it keeps its connections and does nothing."""
        member = self._members[name]
        assert member.process is not None
        member.process.send_signal(signal.SIGSTOP)
        member.frozen = True

    def thaw(self, name: str) -> None:
        """SIGCONT; nothing when it was not frozen."""
        member = self._members[name]
        if member.frozen and member.process is not None:
            member.process.send_signal(signal.SIGCONT)
        member.frozen = False

    def logs(self, name: str) -> str:
        """What it has written."""
        return self._log_path(self._members[name]).read_text(errors="replace")

    def complaints(self, lines: int = 12) -> str:
        """The last warnings and errors of every member."""
        found = []
        for member in self._members.values():
            path = self._log_path(member)
            text = path.read_text(errors="replace").splitlines() if path.exists() else []
            told = [line for line in text if any(word in line for word in COMPLAINTS)]
            found += [f"{member.name}: {line[:600]}" for line in told[-lines:]]
        return "\n".join(found)

    def _ready(self, name: str) -> bool:
        try:
            return ready(self.page(name))
        except PushcastError:
            return False

    def _add(self, plan: ProcessPlan, slot: str) -> str:
        folder = self._world.folder / ("data" if slot == LOCAL else f"data-{slot}")
        member = Member(plan, slot, folder)
        self._members[member.name] = member
        return member.name

    def _log_path(self, member: Member) -> Path:
        return self._world.folder / f"{member.name}.log"

    def _spawn(self, member: Member) -> None:
        environment = self._world.environment | {"PUSHCAST_DATA_DIR": str(member.data_dir)} | member.environment
        limited = member.file_bytes is not None
        with Path(os.devnull).open("ab") if limited else self._log_path(member).open("ab") as log:
            member.process = subprocess.Popen(
                member.command("run", *member.plan.arguments),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
                preexec_fn=partial(_limit_files, member.file_bytes),
            )


def _limit_files(size_bytes: int | None) -> None:
    if size_bytes is None:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
