"""What `make` tells uv on machines that are not as usual. Nothing is fetched: uv is played."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from unit.house.imports import ROOT as APP

ROOT = APP.parent
#: Writes down what it is told; a virtual environment's Python that does nothing is all it makes.
UV = """#!/bin/sh
echo "$1 $2 $3 cache=$UV_CACHE_DIR jars=$PUSHCAST_CACHE_DIR index=$UV_DEFAULT_INDEX" >> {calls}
if [ "$1" = venv ]; then
    mkdir -p {venv}/bin
    rm -f {venv}/bin/python
    printf '#!/bin/sh\\n' > {venv}/bin/python
    chmod +x {venv}/bin/python
fi
"""
#: One whose pip has read its files.
PYTHON = """#!/bin/sh
if [ "$*" = "-m pip config get global.index-url" ]; then echo {index}; fi
"""


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    return tmp_path / "calls"


def make(tmp_path: Path, calls: Path, python: str = sys.executable, **variables: str) -> list[str]:
    """What uv was told in each call of a first `make`; its own folder has a space in its name."""
    tools = tmp_path / "my tools"
    tools.mkdir(exist_ok=True)
    calls.unlink(missing_ok=True)
    venv = tmp_path / "venv"
    (tools / "uv").write_text(UV.format(calls=calls, venv=venv))
    (tools / "uv").chmod(0o755)
    environment = {"PATH": f"{tools}:{os.environ['PATH']}", "HOME": str(tmp_path), **variables}
    command = ["make", f"VENV={venv}", f"PYTHON={python}", f"BOOT={tmp_path}/boot", f"{venv}/.ready"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return calls.read_text().splitlines() if calls.exists() else []


def test_packages_and_jars_lie_where_they_do_for_everybody(tmp_path: Path, calls: Path) -> None:
    told = make(tmp_path, calls)
    assert [line.split(" cache=")[0].split()[0] for line in told] == ["venv", "pip", "pip"]
    assert {line.split(" cache=")[1] for line in told} == {" jars= index="}


@pytest.mark.parametrize("home", ["/proc/nohome", ""], ids=["read-only", "none"])
def test_where_the_home_cannot_be_written_they_lie_in_the_checkout(tmp_path: Path, calls: Path, home: str) -> None:
    told = make(tmp_path, calls, HOME=home)
    assert {line.split(" cache=")[1] for line in told} == {f"{ROOT}/.cache/uv jars={ROOT}/.cache/pushcast index="}


def test_a_place_that_was_chosen_stays(tmp_path: Path, calls: Path) -> None:
    told = make(tmp_path, calls, HOME="/proc/nohome", UV_CACHE_DIR="/a", PUSHCAST_CACHE_DIR="/b")
    assert {line.split(" cache=")[1] for line in told} == {"/a jars=/b index="}


@pytest.mark.parametrize(("chosen", "taken"), [({}, "of-pip"), ({"UV_DEFAULT_INDEX": "chosen"}, "chosen")])
def test_the_package_index_is_that_of_pips_own_files(
    tmp_path: Path, calls: Path, chosen: dict[str, str], taken: str
) -> None:
    python = tmp_path / "python"
    python.write_text(PYTHON.format(index="of-pip"))
    python.chmod(0o755)
    told = make(tmp_path, calls, str(python), **chosen)
    assert [line.rpartition("index=")[2] for line in told if line.startswith("pip sync ")] == [taken]


def test_what_is_installed_is_not_installed_again(tmp_path: Path, calls: Path) -> None:
    assert len(make(tmp_path, calls)) == 3
    assert make(tmp_path, calls) == []


@pytest.mark.parametrize("what", ["the Python is gone", "the checkout was moved"])
def test_an_environment_that_does_not_run_any_more_is_made_anew(tmp_path: Path, calls: Path, what: str) -> None:
    make(tmp_path, calls)
    python, stamp = tmp_path / "venv" / "bin" / "python", tmp_path / "venv" / ".ready"
    assert stamp.read_text() == f"{ROOT}\n"
    if what == "the Python is gone":
        python.unlink()
        python.symlink_to(tmp_path / "python-of-last-year")
    else:
        stamp.write_text("/elsewhere\n")
    told = make(tmp_path, calls)
    assert told[0].startswith("venv --quiet --clear ")
    assert len(told) == 3


#: A Python so new that it is taken only where no other is asked for.
NEWEST = """#!/bin/sh
case "$2" in *"(3, 15)"*) exit 1 ;; esac
"""


@pytest.mark.parametrize(("others", "chosen"), [(["python3.13"], "python3.13"), ([], "python3")])
def test_a_python_without_wheels_is_taken_only_where_nothing_else_is_there(
    tmp_path: Path, others: list[str], chosen: str
) -> None:
    for name, does in {"python3": NEWEST, **dict.fromkeys(others, "#!/bin/sh\n")}.items():
        (tmp_path / name).write_text(does)
        (tmp_path / name).chmod(0o755)
    command = [str(tmp_path / "make"), "--no-print-directory", "--eval", "say: ; @:$(info $(PYTHON))", "say"]
    for tool in ("make", "sh"):
        (tmp_path / tool).symlink_to(str(shutil.which(tool)))
    done = subprocess.run(command, cwd=ROOT, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1:] == [chosen], done.stderr
