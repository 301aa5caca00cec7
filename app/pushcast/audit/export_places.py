"""Where an export lies: a folder of this machine, or one that a URL names (`s3://…`, `gs://…`), by fsspec."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol, cast

from pushcast.model.errors import ConfigurationError
from pushcast.whole_files import whole_file

_URL: Final = "://"
_LOCAL: Final = "file://"


class ExportPlace(Protocol):
    """Files under names with slashes. All of it blocks."""

    def shown(self, name: str) -> str:
        """How a person finds the file."""
        ...

    def has(self, name: str) -> bool:
        """Whether it is there."""
        ...

    def read(self, name: str) -> bytes | None:
        """A small file; None where there is none."""
        ...

    def named(self, pattern: str) -> list[str]:
        """Names of files like `receipts/date=*/p=*/part-*`, sorted. A `*` stands for a part of one name."""
        ...

    def reading(self, name: str) -> AbstractContextManager[BinaryIO]:
        """To be read from its begin to its end."""
        ...

    def writing(self, name: str) -> AbstractContextManager[BinaryIO]:
        """Takes the place of what was there when the block ends; when the block raises, nothing has changed."""
        ...


def place_of(target: str) -> ExportPlace:
    """A folder, or a URL. Raises ConfigurationError where a package is missing that the URL needs."""
    if target.startswith(_LOCAL):
        target = target.removeprefix(_LOCAL)
    return RemotePlace(target) if _URL in target else LocalPlace(Path(target))


def absolute(target: str) -> str:
    """The same place for a process in another folder."""
    return target if _URL in target else str(Path(target).absolute())


class LocalPlace:
    """A folder of this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def shown(self, name: str) -> str:
        """Its path."""
        return str(self._folder / name)

    def has(self, name: str) -> bool:
        """As `ExportPlace`."""
        return (self._folder / name).exists()

    def read(self, name: str) -> bytes | None:
        """As `ExportPlace`."""
        with suppress(FileNotFoundError):
            return (self._folder / name).read_bytes()
        return None

    def named(self, pattern: str) -> list[str]:
        """As `ExportPlace`."""
        return sorted(path.relative_to(self._folder).as_posix() for path in self._folder.glob(pattern))

    def reading(self, name: str) -> AbstractContextManager[BinaryIO]:
        """As `ExportPlace`."""
        return (self._folder / name).open("rb")

    @contextmanager
    def writing(self, name: str) -> Iterator[BinaryIO]:
        """As `ExportPlace`."""
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            yield file


class RemotePlace:
    """A folder that a URL names. Who asks is said as the package of the URL's protocol has it: mostly in the
    environment, never in the URL."""

    def __init__(self, url: str) -> None:
        """Raises ConfigurationError."""
        self._url = url.rstrip("/")
        self.files, root = _files_of(url)
        self._root = root.rstrip("/")

    def shown(self, name: str) -> str:
        """Its URL."""
        return f"{self._url}/{name}"

    def has(self, name: str) -> bool:
        """As `ExportPlace`. What was listed before is not believed: others write, too."""
        self.files.invalidate_cache()
        return bool(self.files.exists(self.path(name)))

    def read(self, name: str) -> bytes | None:
        """As `ExportPlace`."""
        try:
            return bytes(self.files.cat_file(self.path(name)))
        except FileNotFoundError:
            return None

    def named(self, pattern: str) -> list[str]:
        """As `ExportPlace`."""
        self.files.invalidate_cache()
        found = [str(path) for path in self.files.glob(self.path(pattern))]
        names = [path[path.index(self._root) + len(self._root) + 1 :] for path in found]
        return sorted(name for name in names if fnmatchcase(name, pattern))

    def reading(self, name: str) -> AbstractContextManager[BinaryIO]:
        """As `ExportPlace`."""
        return cast(AbstractContextManager[BinaryIO], self.files.open(self.path(name), "rb"))

    @contextmanager
    def writing(self, name: str) -> Iterator[BinaryIO]:
        """As `ExportPlace`: written to a file of this machine first, because one that is written in place stands there
        in part when the process is killed."""
        with tempfile.NamedTemporaryFile(prefix="pushcast-export-") as file:
            yield cast(BinaryIO, file)
            file.flush()
            path = self.path(name)
            self.files.makedirs(path.rpartition("/")[0], exist_ok=True)
            self.files.put_file(file.name, path)

    def path(self, name: str) -> str:
        """As fsspec's file system has it."""
        return f"{self._root}/{name}"


def _files_of(url: str) -> tuple[Any, str]:
    """The file system, and the path in it."""
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise ConfigurationError(f"{url} needs the package fsspec: pip install 'pushcast[export]'") from None
    try:
        opened: Any = url_to_fs  # it says nothing of its types
        files, path = opened(url)
    except (ImportError, ValueError) as error:  # of the protocol's package, which fsspec names; or no such protocol
        raise ConfigurationError(f"{url} cannot be reached: {error}") from None
    return files, str(path)
