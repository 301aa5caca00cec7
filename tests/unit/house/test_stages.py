"""A stage is a folder: whoever adds one touches no list that a test does not hold against the folders."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from unit.house.imports import ROOT, graph

STAGES = sorted(path.parent.name for path in (ROOT / "pushcast").glob("*/stage.py") if path.parent.name != "stream")
PYPROJECT: dict[str, Any] = tomllib.loads((Path(ROOT).parent / "pyproject.toml").read_text())
CONTRACTS = {each["name"]: each for each in PYPROJECT["tool"]["importlinter"]["contracts"]}


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


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_reaches_kafka_through_ports_alone(stage: str) -> None:
    contract = CONTRACTS["stages reach Kafka through ports"]
    assert f"pushcast.{stage}" in contract["source_modules"], "add it to the contract in pyproject.toml"
    assert {"pushcast.transport", "faust", "aiokafka", "confluent_kafka"} <= set(contract["forbidden_modules"])


@pytest.mark.parametrize("stage", STAGES)
def test_a_role_runs_every_stage(stage: str) -> None:
    roles = graph()["pushcast.runtime.roles"]
    assert f"pushcast.{stage}.stage" in roles, "add it to runtime/roles.py"


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
