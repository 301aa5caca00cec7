"""The programs of examples/, each started as its README says; one whose toolchain is not here is skipped by name."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

import pytest

from pushcast.kafka.embedded import jars
from pushcast.kafka.embedded.environment import Environment

EXAMPLES: Final = Path(__file__).parents[2] / "examples"
#: A first build fetches modules and compiles them.
BUILD_SECONDS: Final = 280
RUN_SECONDS: Final = 60


def run(language: str, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Ends with what the example said; its exit code is not judged."""
    command = [*COMMANDS[language](), *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=RUN_SECONDS, check=False)


def _tool(name: str, language: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"no {name} on the path: the {language} example is not run")
    return found


def _python() -> list[str]:
    return [sys.executable, str(EXAMPLES / "python" / "example.py")]


@cache
def _java() -> list[str]:
    javac, java = _tool("javac", "Java"), _tool("java", "Java")
    environment = Environment.read()
    found = jars.fetch(jars.default_cache(environment), environment, offline=True)
    classes = os.pathsep.join(map(str, found))
    target = mkdtemp(prefix="pushcast-example-")
    source = str(EXAMPLES / "java" / "Example.java")
    subprocess.run([javac, "-cp", classes, "-d", target, source], check=True, timeout=BUILD_SECONDS)
    return [java, "-cp", f"{classes}{os.pathsep}{target}", "Example"]


@cache
def _go() -> list[str]:
    program = str(Path(mkdtemp(prefix="pushcast-example-")) / "example")
    command = [_tool("go", "Go"), "build", "-o", program, "."]
    subprocess.run(command, cwd=EXAMPLES / "go", check=True, timeout=BUILD_SECONDS)
    return [program]


@cache
def _node() -> list[str]:
    node, npm = _tool("node", "Node"), _tool("npm", "Node")
    folder = Path(mkdtemp(prefix="pushcast-example-")) / "node"
    shutil.copytree(EXAMPLES / "node", folder, ignore=shutil.ignore_patterns("node_modules"))
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run(command, cwd=folder, check=True, timeout=BUILD_SECONDS)
    return [node, str(folder / "example.mjs")]


COMMANDS: Final[dict[str, Callable[[], list[str]]]] = {"python": _python, "java": _java, "go": _go, "node": _node}
