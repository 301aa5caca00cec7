"""What authorizes requests: a header that may change, and a way to ask for another one."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

from pushcast.model.errors import PushcastError
from pushcast.providers.port import Disposition


class CredentialUnavailable(PushcastError):
    """There is no header to send with now. Says what this means for the deliveries; never holds a secret."""

    def __init__(
        self, message: str, disposition: Disposition, reason: str, retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(message)
        self.disposition = disposition
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds


class Credential(Protocol):
    """One account at one provider. Used from one event loop."""

    def current(self) -> bytes | None:
        """Value of the authorization header, empty where TLS authenticates; None when `header` must be awaited."""
        ...

    async def header(self) -> bytes:
        """As `current`, after waiting for it. Raises CredentialUnavailable."""
        ...

    async def refresh(self, refused: bytes) -> None:
        """The provider refused this header: get another, unless that has happened already or is not allowed yet.

        What follows is one more try with `header()`, which may be the same as before.
        """
        ...

    async def close(self) -> None:
        """Ends what runs in the background."""
        ...


@runtime_checkable
class Expiring(Protocol):
    """A credential that ends at a known time."""

    @property
    def expires_at_seconds(self) -> float | None:
        """Since the epoch; None when its file does not say."""
        ...


class Stamp(NamedTuple):
    """Tells whether a file was replaced or rewritten, or has another owner or other permissions: one that could not be
    read may be readable now."""

    modified_ns: int
    size_bytes: int
    inode: int
    changed_ns: int

    @classmethod
    def of(cls, path: Path) -> Stamp:
        """Raises OSError."""
        status = path.stat()
        return cls(status.st_mtime_ns, status.st_size, status.st_ino, status.st_ctime_ns)


class WatchedFile:
    """A small file whose content is read again when it changed; looked at no more often than each `every_seconds`."""

    def __init__(self, path: Path, every_seconds: float = 5.0) -> None:
        self.path = path
        self._every_seconds = every_seconds
        self._stamp: Stamp | None = None
        self._looked_at = 0.0

    def read(self) -> bytes:
        """The content now. Raises OSError."""
        self._stamp = Stamp.of(self.path)
        return self.path.read_bytes()

    def changed(self, monotonic_seconds: float) -> bool:
        """Whether it differs from what `read` returned; a file that is away for a moment has not changed."""
        if monotonic_seconds - self._looked_at < self._every_seconds:
            return False
        self._looked_at = monotonic_seconds
        try:
            return Stamp.of(self.path) != self._stamp
        except OSError:
            return False
