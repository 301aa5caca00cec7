from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from pushcast.model.errors import ConfigurationError
from pushcast.transport.folders import FolderLocks, SlotTaken, holder, private_folder

HOLD = """
import sys
from pathlib import Path
from pushcast.model.errors import ConfigurationError
from pushcast.transport.folders import FolderLocks
locks = FolderLocks([Path(sys.argv[1])])
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_process_is_refused_with_the_pid_of_the_first_and_a_killed_one_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "pushcast-plan-normal-local"
    held = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(held, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        with pytest.raises(SlotTaken, match=rf"local is in use by the process with pid {first.pid}"):
            FolderLocks([folder])
        first.kill()
    FolderLocks([folder]).close()


def test_who_is_refused_one_folder_holds_none(tmp_path: Path) -> None:
    taken = FolderLocks([tmp_path / "b"])
    with pytest.raises(SlotTaken):
        FolderLocks([tmp_path / "a", tmp_path / "b"])
    FolderLocks([tmp_path / "a"]).close()
    taken.close()


def test_a_folder_is_its_owners_alone_even_one_that_was_there(tmp_path: Path) -> None:
    folder = tmp_path / "there"
    folder.mkdir(mode=0o755)
    assert private_folder(folder).stat().st_mode & 0o777 == 0o700
    assert private_folder(tmp_path / "new" / "er").stat().st_mode & 0o777 == 0o700
    assert os.access(folder, os.W_OK)


def test_row_24_a_folder_that_cannot_be_made_is_refused_with_setting_and_reason(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ConfigurationError, match=rf"{folder} cannot be made \(data_dir\): "):
            FolderLocks([folder])


def test_who_holds_a_folder_is_known_to_others_and_nobody_holds_one_that_is_not_there(tmp_path: Path) -> None:
    assert holder(tmp_path / "nowhere") is None
    taken = FolderLocks([tmp_path])
    assert holder(tmp_path) == os.getpid()
    taken.close()
    assert holder(tmp_path) is None


def failing(code: int) -> Callable[..., int]:
    def fail(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    return fail


@pytest.mark.parametrize(("module", "name", "code"), [(fcntl, "flock", errno.ENOLCK), (os, "open", errno.ENOSPC)])
def test_a_folder_that_cannot_be_locked_is_refused_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str, code: int
) -> None:
    private_folder(tmp_path / "b")
    with monkeypatch.context() as patched:
        patched.setattr(module, name, failing(code))
        with pytest.raises(ConfigurationError, match=r"b/lock cannot be locked"):
            FolderLocks([tmp_path / "b"])
    FolderLocks([tmp_path / "b"]).close()


def test_a_full_disk_takes_a_lock_without_the_name_of_its_holder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", failing(errno.ENOSPC))
        held = FolderLocks([tmp_path])
    with pytest.raises(SlotTaken, match="pid unknown"):
        FolderLocks([tmp_path])
    held.close()
