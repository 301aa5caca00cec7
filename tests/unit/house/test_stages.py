"""A stage is a folder: whoever adds one touches no list that a test does not hold against the folders."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from pushcast.config.settings import Settings
from pushcast.runtime.roles import roles_of
from pushcast.stream.stages import group_patterns, readings, stages
from unit.house.imports import ROOT, foreign, graph

PYPROJECT: dict[str, Any] = tomllib.loads((Path(ROOT).parent / "pyproject.toml").read_text())
CONTRACTS = {each["name"]: each for each in PYPROJECT["tool"]["importlinter"]["contracts"]}
#: Packages of a layer, from the highest layer to the lowest.
LAYERS = [
    [name.strip(" ()") for name in row.split("|")]
    for row in CONTRACTS["layers"]["layers"]  # `(a) | (b)`: of one height
]
#: What stages stand beside: they may import what is below it, and what is above may import them.
BESIDE = next(number for number, row in enumerate(LAYERS) if "gateway" in row)
BELOW = {name for row in LAYERS[BESIDE + 1 :] for name in row} - {"transport"}
ABOVE = {name for row in LAYERS[:BESIDE] for name in row}
STAGES = [each.package.rpartition(".")[2] for each in stages()]
KAFKA = {"faust", "aiokafka", "confluent_kafka"}
#: The dead-letter tool reads logs itself.
READS_LOGS = {"settle/logs.py"}


#: What only `stream.runner` calls for a stage.
ON_ITS_OWN = {"create_task", "ensure_future", "call_later", "call_at", "add_done_callback"}
#: One task for each hand-over to a provider; its engine promises not to raise, and `flights` makes a raise fatal.
ALLOWED = {"send/flights.py"}


def starts(source: str) -> set[str]:
    """Names of `ON_ITS_OWN` that a module calls."""
    calls = [node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return {call.attr for call in calls if isinstance(call, ast.Attribute)} & ON_ITS_OWN


def folder(module: str) -> str:
    """`send` for `pushcast.send.agent`."""
    return module.split(".")[1] if "." in module else ""


def across(edges: Mapping[str, Iterable[str]], stages: Iterable[str]) -> set[tuple[str, str]]:
    """(importer, imported) where one stage's folder needs another's."""
    known = set(stages)
    return {
        (name, other)
        for name, others in edges.items()
        for other in others
        if folder(name) in known and folder(other) in known and folder(name) != folder(other)
    }


def test_there_are_stages() -> None:
    assert {"plan", "register", "send", "settle"} <= set(STAGES)


def test_stages_meet_on_topics_and_never_import_each_other() -> None:
    assert across(graph(), STAGES) == set()


def test_a_stage_that_imports_another_is_found() -> None:
    edges = {"pushcast.plan.agent": {"pushcast.send.agent", "pushcast.plan.rules", "pushcast.stream.batch"}}
    assert across(edges, ["plan", "send"]) == {("pushcast.plan.agent", "pushcast.send.agent")}


def beyond(edges: Mapping[str, Iterable[str]], stage: str) -> set[tuple[str, str]]:
    """(importer, imported) where a stage needs what is not below it, the transport included."""
    return {
        (name, other)
        for name, others in edges.items()
        for other in others
        if folder(name) == stage and folder(other) not in BELOW | {stage, ""}
    }


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_imports_only_what_is_below_it_and_not_the_transport(stage: str) -> None:
    assert beyond(graph(), stage) == set()


def test_a_stage_that_imports_the_transport_or_the_runtime_is_found() -> None:
    edges = {"pushcast.plan.agent": {"pushcast.transport.app", "pushcast.runtime.process", "pushcast.kafka.outbox"}}
    assert {other for _, other in beyond(edges, "plan")} == {"pushcast.transport.app", "pushcast.runtime.process"}


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_reaches_kafka_through_ports_alone(stage: str) -> None:
    package = ROOT / "pushcast"
    found = {
        name: names
        for path in sorted((package / stage).rglob("*.py"))
        if (names := foreign(path) & KAFKA) and (name := str(path.relative_to(package))) not in READS_LOGS
    }
    assert found == {}


def test_nothing_below_the_stages_and_no_door_imports_one() -> None:
    found = {
        (name, other)
        for name, others in graph().items()
        for other in others
        if folder(other) in STAGES and folder(name) not in {*STAGES, *ABOVE}
    }
    assert found == set()


def test_every_stage_is_found_by_its_folder_and_run_by_a_role() -> None:
    folders = {path.parent.name for path in (ROOT / "pushcast").glob("*/stage.py")} - {"stream"}
    assert set(STAGES) == folders, "a stage has a reads.py and a stage.py"


@pytest.mark.parametrize("stage", STAGES)
def test_what_a_stage_reads_is_told_without_its_engine(stage: str) -> None:
    assert {folder(other) for other in graph()[f"pushcast.{stage}.reads"]} <= {"model", "wire"}


def test_a_stage_is_added_by_its_folder_alone() -> None:
    """docs/adding-a-stage.md: the example is found in its own package by what finds the product's stages."""
    assert [each.package for each in stages("example_stage")] == ["example_stage.echo"]
    assert [(each.role, each.group) for each in readings(package="example_stage")] == [("settler", "pushcast-echo")]
    assert group_patterns("example_stage") == {"settler": ["pushcast-echo"]}
    (spec,) = roles_of("example_stage")["settler"](Settings(), [], [])
    assert (spec.role, spec.group, spec.subscriptions[0].topics) == ("settler", "pushcast-echo", ("push.note.v1",))


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_starts_timers_and_tasks_through_its_runner(stage: str) -> None:
    package = ROOT / "pushcast"
    found = {
        str(path.relative_to(package)): names
        for path in sorted((package / stage).rglob("*.py"))
        if (names := starts(path.read_text(encoding="utf-8")))
    }
    assert not found.keys() - ALLOWED, "use stream.runner.Runner, which closing the tenure ends"


def test_a_timer_of_a_stages_own_is_found() -> None:
    assert starts("import asyncio\nasyncio.create_task(work())\nloop.call_later(1, step)") == {
        "create_task",
        "call_later",
    }
    assert starts("runner.wake()\nstage(call_later=timers)") == set()


def unguarded(source: str) -> list[int]:
    """Lines on which a module puts something off to the loop that does not run guarded."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [
        call.lineno
        for call in calls
        if isinstance(call.func, ast.Attribute)
        and call.func.attr in {"call_soon", "call_soon_threadsafe"}
        and "guarded" not in ast.unparse(call.args[0])
    ]


@pytest.mark.parametrize("stage", STAGES)
def test_what_a_stage_puts_off_runs_guarded(stage: str) -> None:
    """faults.md C17: the loop only logs what a bare callback raises, and its records stay open for ever."""
    for path in sorted((ROOT / "pushcast" / stage).rglob("*.py")):
        assert unguarded(path.read_text(encoding="utf-8")) == [], path.name


def test_a_bare_callback_is_found() -> None:
    source = "loop.call_soon(self._settle)\nloop.call_soon(self._guarded, self._settle)\n"
    assert unguarded(source) == [1]
