"""Settings that a fork shares with the process it comes from, in memory once, as long as nobody changed them."""

from __future__ import annotations

import os
from dataclasses import dataclass

from pushcast.config.settings import Settings, config_file, load


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and what they were read from."""

    settings: Settings
    source: tuple[bytes | None, frozenset[tuple[str, str]]]

    def again(self) -> Settings:
        """The very same object while file and environment are what they were, else what they say now. Raises
        ConfigurationError. Safe in a fork; reads one file."""
        return self.settings if _source() == self.source else load()


def loaded() -> Loaded:
    """Raises ConfigurationError. A file that changes meanwhile is read once more by `again`."""
    source = _source()
    return Loaded(load(), source)


def _source() -> tuple[bytes | None, frozenset[tuple[str, str]]]:
    file = config_file()
    try:
        text = None if file is None else file.read_bytes()
    except OSError:  # `load` says so
        text = None
    variables = frozenset((name, value) for name, value in os.environ.items() if name.startswith("PUSHCAST_"))
    return text, variables
