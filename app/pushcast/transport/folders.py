"""The folders of a process: nobody else's to read, and one process in each."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from pushcast.model.errors import ConfigurationError

LOCK_FILE = "lock"


class SlotTaken(ConfigurationError):
    """Another process works in this folder: it has the group's static id, and the databases are open there."""


def private_folder(path: Path) -> Path:
    """Makes it, for its owner alone: copies of tables hold the tokens of devices. Raises ConfigurationError when it
    cannot be made."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.chmod(0o700)
    except OSError as error:
        raise ConfigurationError(f"the folder {path} cannot be made (data_dir): {error.strerror}") from error
    return path


class FolderLocks:
    """Holds folders until it is closed, or the process ends, however it ends.

    The lock is the kernel's (`flock`), so a killed process leaves none. The file says who holds it.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        """Takes all of them. Raises SlotTaken, which names the other process, and ConfigurationError where a folder
        cannot be locked."""
        self._files: list[int] = []
        for folder in sorted(set(folders)):
            try:
                self._files.append(_locked(private_folder(folder)))
            except ConfigurationError:
                self.close()
                raise

    def close(self) -> None:
        """Gives them back."""
        while self._files:
            os.close(self._files.pop())


def holder(folder: Path) -> int | None:
    """The pid of the process that holds this folder; None when nobody does."""
    try:
        file = os.open(folder / LOCK_FILE, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return int(os.pread(file, 32, 0) or 0) or None
    finally:
        os.close(file)
    return None


def _locked(folder: Path) -> int:
    path = folder / LOCK_FILE
    file = None
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = "unknown" if file is None else os.pread(file, 32, 0).decode(errors="replace").strip() or "unknown"
        if file is not None:
            os.close(file)
        if not isinstance(error, BlockingIOError):  # no place for a file, or a network's file system without locks
            raise ConfigurationError(f"{path} cannot be locked (data_dir): {error.strerror}") from error
        raise SlotTaken(
            f"{folder} is in use by the process with pid {holder}: a group and slot (--slot) is for one process. "
            "Stop that one, or give this one another slot"
        ) from None
    with suppress(OSError):  # a full disk: the lock holds without the name of its holder
        os.ftruncate(file, 0)
        os.pwrite(file, b"%d\n" % os.getpid(), 0)
    return file
