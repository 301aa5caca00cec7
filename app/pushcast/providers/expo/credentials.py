"""The access token of an Expo account, where a project enforces one."""

from __future__ import annotations

from pathlib import Path

import structlog

from pushcast.model.clock import Clock
from pushcast.model.errors import ConfigurationError
from pushcast.providers.credential import WatchedFile

log = structlog.get_logger(__name__)


class AccessToken:
    """A token from a file, read again within seconds of its change; a file that does not serve leaves the old token in
    force. Without a file there is none. Raises ConfigurationError at construction."""

    def __init__(self, file: Path | None, clock: Clock) -> None:
        self._file = None if file is None else WatchedFile(file)
        self._clock = clock
        self._header = None if self._file is None else _load(self._file)

    def header(self) -> str | None:
        """Value of the authorization header."""
        if self._file is not None and self._file.changed(self._clock.monotonic_seconds()):
            try:
                self._header = _load(self._file)
            except ConfigurationError as error:
                log.warning("expo_access_token_not_reloaded", problem=str(error))
        return self._header


def _load(file: WatchedFile) -> str:
    try:
        token = file.read().decode("ascii").strip()
    except OSError as error:
        raise ConfigurationError(f"access_token_file {file.path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"access_token_file {file.path}: not ASCII") from error
    if not token or not token.isprintable() or " " in token:
        raise ConfigurationError(f"access_token_file {file.path}: not one token")
    return f"Bearer {token}"
