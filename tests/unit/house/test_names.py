"""One word for one thing: a name of a class means one class, wherever it is read."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from unit.house.imports import ROOT

#: Folders whose classes may bear another's name: a simulator plays what a provider's client talks to, a section of the
#: configuration is called as what it configures, and nobody imports the programs for benchmarks and the demo.
BESIDE = {"simulators", "config", "bench", "demo"}
#: Names that more than one class has, with the reason. The list may only shrink.
EXCEPTIONS = {
    "Kind": "of a control record, of an outcome at HTTP/2 and of a problem at the gateway: enumerations, 80 files",
}


@cache
def classes(package: Path) -> dict[str, list[str]]:
    """Name of each public class at the top of a module -> its files, relative to the package."""
    found: dict[str, list[str]] = {}
    for path in sorted(package.rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found.setdefault(node.name, []).append(path.relative_to(package).as_posix())
    return found


def doubled(found: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """Names of several classes. Providers mirror each other: one class of a name for each provider is none."""
    result = {}
    for name, files in found.items():
        ours = [file for file in files if file.partition("/")[0] not in BESIDE]
        homes = {file.rsplit("/", 1)[0] for file in ours}
        mirrored = all(file.startswith("providers/") for file in ours) and len(homes) == len(ours)
        if len(ours) > 1 and not mirrored:
            result[name] = ours
    return result


def test_a_name_means_one_class() -> None:
    found = doubled(classes(ROOT / "pushcast"))
    assert {name: files for name, files in found.items() if name not in EXCEPTIONS} == {}


def test_an_exception_that_is_no_longer_needed_is_taken_off_the_list() -> None:
    assert EXCEPTIONS.keys() <= doubled(classes(ROOT / "pushcast")).keys()


def test_a_name_of_two_classes_is_found() -> None:
    found = {
        "Outputs": ["plan/outputs.py", "settle/outputs.py"],
        "Rendered": ["providers/apns/message.py", "providers/fcm/message.py"],
        "Queue": ["settle/queue.py", "simulators/queue.py"],
        "Answer": ["providers/expo/api.py", "providers/expo/answers.py"],
    }
    assert doubled(found).keys() == {"Outputs", "Answer"}
