"""Send records as SEND takes them. A message with one target, as a chat has it, costs a third of what Avro takes, and
one with many (`many_columns`) a quarter.

Whatever is in any way unusual goes through Avro: same answer (tests/laws/test_batch_reader.py).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache
from io import BytesIO
from typing import Any, Final

from fastavro import parse_schema, schemaless_reader

from pushcast.model.batch import Message, SendBatch
from pushcast.model.errors import InvalidInput
from pushcast.model.notification import MAX_BADGE, Content, Options
from pushcast.model.quiet import QuietTerms
from pushcast.model.sealing import Sealing
from pushcast.model.words import Source
from pushcast.wire.avro_bytes import NULL, ONE, SECOND, TRUE, long_at
from pushcast.wire.events.more import has_replays, joined
from pushcast.wire.json_errors import UNREADABLE
from pushcast.wire.schemas import FRAME_BYTES, AvroType, without_logical_types
from pushcast.wire.sending.batches import (
    MAX_COUNT,
    PLAIN_TYPE,
    SOURCES,
    TYPE,
    check_message,
    decode_batch,
    message_of,
    message_with,
)
from pushcast.wire.sending.many_columns import ManyColumns
from pushcast.wire.sending.message_head import DEFAULT_OPTIONS, FLAGS, MANNERS
from pushcast.wire.sending.single_columns import SingleColumns
from pushcast.wire.sending.small_messages import SmallMessages

_HASH_BYTES: Final = 16
_SECOND: Final = SECOND[0]
_DEFAULTS: Final = Options()
_MANNERS: Final = {encoded + NULL: manners for manners, encoded in MANNERS.items()}  # without a live activity
#: Counted, removable.
_FLAGS: Final = {one + other: (one == TRUE, other == TRUE) for one in FLAGS for other in FLAGS}
#: What bytes that are no record of ours may raise here; Avro then says what is wrong with them.
_BROKEN: Final = (IndexError, ValueError, struct.error, InvalidInput, *UNREADABLE)


def _never(app: str) -> bool:
    """Each message stays by itself."""
    return False


def read_batch(value: bytes, mixes: Callable[[str], bool] = _never) -> SendBatch:
    """The batch, each message checked (`batches.check_message`). `mixes`: whether messages of an app that have one
    target each, and follow each other, may be one message with `wordings`.

    Raises InvalidInput when the bytes are not a SendBatch of this or an earlier release, or for a message that would
    fail later.
    """
    reader = _READERS.get(value[:FRAME_BYTES])
    try:
        batch = None if reader is None else reader.read(value, mixes)
    except _BROKEN:
        batch = None
    if batch is None:
        batch = decode_batch(value)
        for message in batch.messages:
            check_message(message)
    return batch


class _Reader:
    """Of the records of one schema."""

    def __init__(self, kind: AvroType, *, extended: bool) -> None:
        fields = {field["name"]: field["type"] for field in without_logical_types(kind.source)["fields"]}
        self._message = parse_schema(fields["messages"]["items"])
        self._extended = extended
        self._columns = SingleColumns(extended=extended)
        columns = {field["name"]: field["type"] for field in fields["messages"]["items"]["fields"]}
        self._notifications = ManyColumns(columns["notifications"])
        self._targets = ManyColumns(columns["targets"])

    def read(self, value: bytes, mixes: Callable[[str], bool]) -> SendBatch | None:
        """None, or an error of `_BROKEN`: the record is to be decoded as a whole."""
        lane, at = _text(value, FRAME_BYTES)
        run, at = long_at(value, at)
        first_seen_at, at = _optional_long(value, at)
        platform, at = _text(value, at)
        source: int = Source.NOTIFICATION
        if self._extended:
            source, at = long_at(value, at)
        count, at = long_at(value, at)
        if count < 0 or not 0 <= run <= MAX_COUNT or source not in SOURCES:
            return None
        gathered = SmallMessages(mixes)
        for _ in range(count):
            light = self._light(value, at, gathered)
            if light is None:
                message, at = self._any(value, at)
                gathered.add(message)
            else:
                at = light
        messages = gathered.whole()
        if at + 1 != len(value) or value[at]:
            return None
        return SendBatch(lane, platform, messages, run, first_seen_at, source)

    def _any(self, value: bytes, at: int) -> tuple[Message, int]:
        stream = BytesIO(value)
        stream.seek(at)
        try:
            datum: Any = schemaless_reader(stream, self._message, None)
            message = message_of(datum)
        except Exception as error:  # fastavro raises many things; the whole record will raise it again
            raise ValueError("not a message") from error
        check_message(message)
        return message, stream.tell()

    def _light(self, value: bytes, at: int, gathered: SmallMessages) -> int | None:
        """Adds the message at `at`. Returns where it ends; None when it is not one that is read here."""
        names_end = at + 1 + (value[at] >> 1)
        names_end += 1 + (value[names_end] >> 1)
        app, klass = _names(value[at:names_end])
        title, at = _text(value, names_end + 1) if value[names_end] == _SECOND else _optional(value, names_end)
        body, at = _text(value, at + 1) if value[at] == _SECOND else _optional(value, at)
        if value[at]:
            data, at = _texts(value, at)
        else:
            data, at = {}, at + 1
        if value[at]:  # there are locales
            return None
        at += 1
        if value.startswith(DEFAULT_OPTIONS, at):
            options: Options | None = _DEFAULTS
            at += len(DEFAULT_OPTIONS)
        else:
            options, at = _options(value, at)
        if options is None or value[at] != 2 * _HASH_BYTES:
            return None
        content_hash = value[at + 1 : at + 1 + _HASH_BYTES]
        content = Content(title, body, data)
        at += 1 + _HASH_BYTES
        quiet: QuietTerms | None = None
        sealing: Sealing | None = None
        counted = removable = False
        if self._extended:
            more, at = _optional(value, at)
            flags = value[at : at + 2]
            if flags not in _FLAGS:
                return None
            counted, removable = _FLAGS[flags]
            at += 2
            if more is not None:
                if has_replays(more):
                    return None
                content, options, quiet, sealing = joined(content, options, more)
        if value[at] != ONE[0] or counted or removable:
            head = app, klass, content, options, content_hash
            message, at = self._with_many(value, at, head)
            message.counted, message.removable, message.quiet, message.sealing = counted, removable, quiet, sealing
            gathered.add(message)
            return at
        columns = self._columns.read(value, at)
        if columns is None:
            return None
        row, at = columns
        gathered.single(app, klass, content, options, content_hash, row, quiet, sealing)
        return at

    def _with_many(self, value: bytes, at: int, head: tuple[str, str, Content, Options, bytes]) -> tuple[Message, int]:
        try:
            notes, at = self._notifications.read(value, at)
            targets, at = self._targets.read(value, at)
        except Exception as error:  # fastavro raises many things; the whole record will raise it again
            raise ValueError("not the columns of a message") from error
        message = message_with(head, notes, targets)
        check_message(message)
        return message, at


@lru_cache(1024)
def _names(value: bytes) -> tuple[str, str]:
    app, middle = _text(value, 0)
    klass, end = _text(value, middle)
    if end != len(value):
        raise ValueError("names of more than 63 bytes")
    return app, klass


def _text(value: bytes, at: int) -> tuple[str, int]:
    size = value[at]
    at += 1
    if size > 0x7F:
        high = value[at]
        if high > 0x7F:
            size, at = long_at(value, at - 1)
            size <<= 1
        else:  # a length of two bytes, as most texts have that have more than one
            size = size & 0x7F | high << 7
            at += 1
    end = at + (size >> 1)
    if size & 1 or size < 0 or end > len(value):
        raise ValueError("a text that is cut off, or of a negative length")
    return value[at:end].decode(), end


def _optional(value: bytes, at: int) -> tuple[str | None, int]:
    index = value[at]
    if not index:
        return None, at + 1
    if index != _SECOND:
        raise ValueError("a union of two has no such branch")
    return _text(value, at + 1)


def _optional_long(value: bytes, at: int) -> tuple[int | None, int]:
    index = value[at]
    if not index:
        return None, at + 1
    if index != _SECOND:
        raise ValueError("a union of two has no such branch")
    return long_at(value, at + 1)


def _texts(value: bytes, at: int) -> tuple[dict[str, str], int]:
    texts: dict[str, str] = {}
    count, at = value[at], at + 1
    if not count:
        return texts, at
    if count & 0x81:
        raise ValueError("more texts than one writes, or in blocks with a size")
    for _ in range(count >> 1):
        size = value[at]
        end = at + 1 + (size >> 1)
        if not size & 0x81 and not value[end] & 0x81:  # both are short, as they mostly are
            at = end + 1 + (value[end] >> 1)
            texts[value[end - (size >> 1) : end].decode()] = value[end + 1 : at].decode()
            continue
        key, at = _text(value, at)
        texts[key], at = _text(value, at)
    if value[at]:
        raise ValueError("another block of texts")
    return texts, at + 1


def _options(value: bytes, at: int) -> tuple[Options | None, int]:
    collapse_id, at = _optional(value, at)
    thread_id, at = _optional(value, at)
    sound, at = _optional(value, at)
    badge, at = _optional_long(value, at)
    if badge is not None and not 0 <= badge <= MAX_BADGE:
        return None, at
    end = at + 5 + (value[at + 1] >> 1)
    manners = _MANNERS.get(value[at:end])
    if manners is None:
        return None, at
    return Options(collapse_id, thread_id, sound, badge, *manners), end


_READERS: Final = {
    PLAIN_TYPE.frame: _Reader(PLAIN_TYPE, extended=False),
    TYPE.frame: _Reader(TYPE, extended=True),
}
