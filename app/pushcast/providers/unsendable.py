"""Why a message is refused before anything is sent."""

from __future__ import annotations

from pushcast.model.errors import InvalidInput


class Unsendable(InvalidInput):
    """This content cannot be sent to this platform: every target ends as rejected with `reason`."""
