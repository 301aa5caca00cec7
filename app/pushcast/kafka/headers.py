"""Headers of a record that confluent-kafka read."""

from __future__ import annotations

import logging
from operator import methodcaller
from typing import Final

from confluent_kafka import Message

from pushcast.wire.headers import Headers

logger = logging.getLogger(__name__)

#: Not `message.headers()`. On a header name that is not UTF-8 confluent-kafka 2.16 returns a list with holes and leaves
#: an error pending. Seen to be a SIGSEGV a moment later, because CPython 3.11 does not check the result of every call.
#: It checks a call through `methodcaller`, which raises SystemError instead.
_checked: Final = methodcaller("headers")


def headers_of(message: Message) -> Headers:
    """All headers; none, with a line in the log that names the record, when a name is not UTF-8: nobody can tell then
    what the others are. Records of Pushcast have no such name."""
    try:
        found: Headers | None = _checked(message)
    except (SystemError, UnicodeDecodeError):
        place = (message.topic(), message.partition(), message.offset())
        logger.warning("%s[%s]@%s: a header's name is not UTF-8, its headers are left out", *place)
        return ()
    return found or ()
