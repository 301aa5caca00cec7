"""Who may write: whoever may open the file. It is opened again when it was moved away, as log rotation does."""

from __future__ import annotations

from pathlib import Path
from typing import IO

from pushcast.providers.credential import Stamp


class LogFile:
    """Opened at the first line. Raises OSError where it cannot be written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        self._inode = 0

    def write(self, lines: bytes) -> None:
        """Blocks for as long as the file system takes."""
        if self._file is not None and not self._is_there():
            self.close()
        if self._file is None:
            self._file = self._path.open("ab")
            self._inode = Stamp.of(self._path).inode
        self._file.write(lines)
        self._file.flush()

    def _is_there(self) -> bool:
        try:
            return Stamp.of(self._path).inode == self._inode
        except FileNotFoundError:
            return False

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
