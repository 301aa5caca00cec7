"""A message as a line of the log."""

from __future__ import annotations

from typing import Final

import orjson

from pushcast.model.batch import Message
from pushcast.model.words import Reason
from pushcast.providers.unsendable import Unsendable

MAX_LINE_BYTES: Final = 4096


def render(message: Message) -> bytes:
    """What every target's line has in common. Raises Unsendable: payload_too_large."""
    title, body = message.content.title, message.content.body
    line = orjson.dumps({"app": message.app, "title": title, "body": body, "data": message.content.data})
    if len(line) > MAX_LINE_BYTES:
        raise Unsendable(Reason.PAYLOAD_TOO_LARGE, f"the line is {len(line)} bytes, at most {MAX_LINE_BYTES}")
    return line
