from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pushcast.model.errors import ConfigurationError
from pushcast.runtime import whereabouts
from pushcast.runtime.whereabouts import Whereabouts


def entry(pid: int, name: str = "planner-bulk", port: int = 1) -> Whereabouts:
    return Whereabouts(name, pid, "127.0.0.1", port)


def ended() -> int:
    """The id of a process that has ended and was waited for."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_second_process_of_a_name_neither_hides_the_first_nor_takes_its_file_along(tmp_path: Path) -> None:
    first, second = entry(os.getpid(), port=1), entry(os.getppid(), port=2)
    whereabouts.write(tmp_path, first)
    path = whereabouts.write(tmp_path, second)
    assert {each.port for each in whereabouts.read_all(tmp_path)} == {1, 2}
    path.unlink()  # it has ended
    assert whereabouts.read_all(tmp_path) == [first]


def test_a_process_that_was_killed_is_left_out_and_its_file_goes_when_the_next_of_its_name_starts(
    tmp_path: Path,
) -> None:
    killed = whereabouts.write(tmp_path, entry(ended()))
    other = whereabouts.write(tmp_path, entry(ended(), name="planner-bulk-2"))
    assert whereabouts.read_all(tmp_path) == []
    whereabouts.write(tmp_path, entry(os.getpid()))
    assert whereabouts.read_all(tmp_path) == [entry(os.getpid())]
    assert not killed.exists()
    assert other.exists(), "its name is another one"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"name":"settler"}', b"\xff", b"[" * 100_000])
def test_a_file_that_is_none_of_ours_keeps_no_process_from_starting(tmp_path: Path, content: bytes) -> None:
    """After a full disk, or of another release: every role ended at its start, and started again, for ever."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "settler.1.json").write_bytes(content)
    whereabouts.write(tmp_path, entry(os.getpid()))
    assert whereabouts.read_all(tmp_path) == [entry(os.getpid())]


def test_nobody_has_written_yet(tmp_path: Path) -> None:
    assert whereabouts.read_all(tmp_path) == []


def test_a_data_dir_that_cannot_be_made_is_refused_by_the_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"file/run cannot be made \(data_dir\): Not a directory"):
        whereabouts.write(tmp_path / "file", entry(os.getpid()))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"name": "one", "pid": "two"}', b"\xff", b"[" * 5000])
def test_a_file_that_says_nothing_keeps_no_process_from_starting_and_no_status_from_answering(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """After a power loss files may be empty: every process of the machine refused to start until it was removed."""
    me = whereabouts.Whereabouts("planner", os.getpid(), "127.0.0.1", 1)
    whereabouts.write(tmp_path, me)
    broken = tmp_path / "run" / "broken.json"
    broken.write_bytes(content)
    whereabouts.write(tmp_path, me)
    assert whereabouts.read_all(tmp_path) == [me]
    assert str(broken) in caplog.text


@pytest.mark.parametrize("pid", [2**40, 2**70])
def test_an_id_that_no_process_can_have_lives_not(pid: int) -> None:
    assert not whereabouts.lives(pid)
