"""Files that a reader sees whole or not at all: written beside, then put in place of what was there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def whole_file(path: Path, *, private: bool = False) -> Iterator[BinaryIO]:
    """A file that takes the place of `path` when the block ends; when the block raises, `path` is as it was.

    `private`: readable by its owner alone, and safe beside another process that writes it. Others have one name for
    what is half written, so that a killed process leaves no more than one such file.
    """
    scratch = _private_beside(path) if private else path.with_name(f".{path.name}.new")
    try:
        with scratch.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise


def write_whole(path: Path, content: bytes, *, private: bool = False) -> None:
    """`whole_file` of what is in memory. Raises OSError."""
    with whole_file(path, private=private) as file:
        file.write(content)


def _private_beside(path: Path) -> Path:
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.absolute().parent)
    os.close(descriptor)
    return Path(name)
