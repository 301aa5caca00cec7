"""Exceptions that say whose fault it is and what happens next.

PushcastError
├── InvalidInput       the record is wrong: dead letter with `reason`, never retried
└── ConfigurationError the operator's input is wrong: refuse to start
"""

from __future__ import annotations


class PushcastError(Exception):
    """Base of every error that Pushcast raises on purpose."""


class InvalidInput(PushcastError):
    """A record that no retry can mend. `reason` is the public code; the message names the field and the limit.

    The message never holds a token: it ends in dead-letter headers and logs.
    """

    def __init__(self, reason: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.reason = str(reason)
        self.field = field


class ConfigurationError(PushcastError):
    """Configuration that is refused at start-up. The message names the key and what would be right."""
