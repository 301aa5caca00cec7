"""The keyring as a process holds it: read at the start, and anew when the file changes."""

from __future__ import annotations

import binascii
import os
import stat
import time
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from pushcast.model.errors import ConfigurationError
from pushcast.wire.sealing.keyring import Keyring, KeyringRole, decode_keyring, unlocked
from pushcast.wire.sealing.seals import KEY_BYTES, TokenKeys

log = structlog.get_logger(__name__)

LOOK_SECONDS: Final = 5.0
_FILE_SCHEME: Final = "file:"
_Stamp = tuple[int, int, int, int]


class KeyringFile:
    """One role's file. A change that cannot be read leaves the keys as they are and is logged once."""

    def __init__(self, file: Path, role: KeyringRole, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Raises ConfigurationError: a file that is not there, that others may read, or that holds no usable keys."""
        self._file = file
        self._role = role
        self._monotonic = monotonic
        self._outer: Path | None = None  # with the key that wraps those of the file; None: the file could not be read
        self._stamps: tuple[_Stamp | None, _Stamp | None] = None, None
        self._keys = self._read()
        self._looked_at = monotonic()

    def keys(self) -> TokenKeys:
        """The keys as the file has them, at most five seconds late. Cheap."""
        now = self._monotonic()
        if now - self._looked_at >= LOOK_SECONDS:
            self._looked_at = now
            self._look()
        return self._keys

    def _look(self) -> None:
        if (_stamp(self._file), _stamp(self._outer)) == self._stamps:
            return
        try:
            self._keys = self._read()
        except ConfigurationError as error:
            log.warning("keyring_not_read", file=str(self._file), error=str(error))
        else:
            log.info("keyring_read", file=str(self._file), keys=sorted(self._keys.ids), sealing=self._keys.sealing)

    def _read(self) -> TokenKeys:
        """`read_keys`. Each stamp is taken before its file is read: what changes meanwhile is seen at the next look."""
        self._outer, self._stamps = None, (_stamp(self._file), None)
        ring = read_ring(self._file)
        self._outer = _outer_file(ring)
        self._stamps = self._stamps[0], _stamp(self._outer)
        return unlocked(ring, outer_key(ring), self._role)


def read_keys(file: Path, role: KeyringRole) -> TokenKeys:
    """Reads and unwraps. Raises ConfigurationError; nothing of a key is in its text."""
    ring = read_ring(file)
    return unlocked(ring, outer_key(ring), role)


def read_ring(file: Path) -> Keyring:
    """The file, its keys still wrapped. Raises ConfigurationError."""
    return decode_keyring(read_secret(file, "sealing.keyring_file"))


def outer_key(ring: Keyring) -> bytes:
    """The key that wraps those of the ring. Raises ConfigurationError."""
    outer_file = _outer_file(ring)
    try:
        outer = b64decode(read_secret(outer_file, "wrapped_by").strip(), validate=True)
    except (binascii.Error, ValueError):
        raise ConfigurationError(f"wrapped_by: {outer_file} is not base64") from None
    if len(outer) != KEY_BYTES:
        raise ConfigurationError(f"wrapped_by: {outer_file} has {len(outer)} bytes, a key has {KEY_BYTES}")
    return outer


def read_secret(file: Path, setting: str) -> bytes:
    """Raises ConfigurationError for a file that is not there, or that others may use."""
    try:
        mode = file.stat().st_mode
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ConfigurationError(f"{setting}: {file} may be used by others than its owner; chmod 600 it")
        return file.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{setting}: cannot read {file}: {os.strerror(error.errno or 0)}") from None


def _outer_file(ring: Keyring) -> Path:
    return Path(ring.wrapped_by.removeprefix(_FILE_SCHEME))


def _stamp(file: Path | None) -> _Stamp | None:
    """By which a change is noticed, also a file that was put in the place of another, or whose mode was put right."""
    if file is None:
        return None
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_ctime_ns
