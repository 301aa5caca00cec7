"""What surrounds the code: hooks of a checkout, the matrix, the bill of materials. Each names things that are there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from functools import cache
from itertools import chain
from typing import Any

import pytest
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from unit.house.imports import ROOT as APP

ROOT = APP.parent
LOCK = (ROOT / "requirements" / "base.txt").read_text(encoding="utf-8")
PINS = dict(re.findall(r"^([\w.-]+)==([^\s;]+)", LOCK, re.MULTILINE))
JARS = tomllib.loads((ROOT / "app/pushcast/kafka/embedded/kafka-jars.lock.toml").read_text(encoding="utf-8"))["jar"]
HOOKS = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
STEPS = [step["run"] for job in WORKFLOW["jobs"].values() for step in job["steps"] if "run" in step]


@cache
def bill(version: str) -> dict[str, Any]:
    ran = subprocess.run([sys.executable, ROOT / ".ci/sbom.py", version], capture_output=True, text=True, check=True)
    made: dict[str, Any] = json.loads(ran.stdout)
    return made


def test_the_bill_of_materials_is_one_by_the_schema_of_cyclonedx() -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bill("1.2.3"))) is None


def test_the_bill_names_every_locked_package_and_every_jar_with_its_version() -> None:
    found = {(each["name"], each["version"]) for each in bill("1.2.3")["components"]}
    assert found == {*PINS.items(), *((jar["artifact"], jar["version"]) for jar in JARS)}


def test_the_bill_has_every_hash_of_the_locks() -> None:
    told = json.dumps(bill("1.2.3"))
    hashes = re.findall(r"sha256:([0-9a-f]{64})", LOCK)
    assert all(each in told for each in chain(hashes, (jar["sha256"] for jar in JARS)))


def test_everything_in_the_bill_is_there_because_of_the_product() -> None:
    wants = {each["ref"]: each["dependsOn"] for each in bill("1.2.3")["dependencies"]}
    left = [bill("1.2.3")["metadata"]["component"]["bom-ref"]]
    reached: set[str] = set()
    while left:
        if (ref := left.pop()) not in reached:
            reached.add(ref)
            left += wants[ref]
    assert reached == wants.keys()


def test_two_bills_of_one_version_are_the_same_and_of_two_are_not() -> None:
    first, again, other = (bill.__wrapped__(version)["serialNumber"] for version in ("1.2.3", "1.2.3", "1.2.4"))
    assert first == again != other


def test_no_bill_names_where_packages_come_from() -> None:
    assert "://" not in json.dumps(bill("1.2.3"))


@pytest.mark.parametrize(
    "hook", [hook for repository in HOOKS for hook in repository["hooks"]], ids=lambda hook: hook["id"]
)
def test_a_hook_is_a_tool_that_make_lint_runs(hook: dict[str, Any]) -> None:
    lint = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\nlint:")[2].partition("\n\n")[0]
    command = " ".join(hook["entry"].removeprefix(".venv/bin/").split()[:2]).replace(" --force-exclude", "")
    assert f"$(VENV)/bin/{command}" in lint


def test_hooks_fetch_nothing() -> None:
    assert {repository["repo"] for repository in HOOKS} == {"local"}


def test_the_matrix_is_the_same_in_the_script_and_in_the_workflow() -> None:
    script = (ROOT / ".ci/matrix").read_text(encoding="utf-8")
    [versions] = re.findall(r"for version in ([\d. ]+);", script)
    assert WORKFLOW["jobs"]["matrix"]["strategy"]["matrix"]["python"] == versions.split()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == f">={versions.split()[0]}"


def test_what_the_workflow_runs_is_there() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for command in STEPS:
        words = [word for word in command.split() if "=" not in word or word.startswith("-")]
        if words[0] == "make":
            assert set(command.split('"')[0].split()[1:]) - {"PYTHON=python", "ARGS="} <= targets, command
        elif words[0].startswith(".ci/"):
            assert (ROOT / words[0]).stat().st_mode & 0o100, command
        else:
            assert words[0] == "pipx", command
