"""Events that come as JSON or as framed Avro, told apart by their first byte."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from pushcast.wire.json_errors import UNREADABLE, from_msgspec
from pushcast.wire.schemas import AvroType, SchemaSource

T = TypeVar("T")


def is_json(value: bytes) -> bool:
    """Whether it is written by hand: an object, perhaps behind white space."""
    return value[:1] == b"{" or value[:1] in b" \t\r\n"


def read_event(
    value: bytes, form: type[T], from_json: Callable[[bytes], T], avro: AvroType, schemas: SchemaSource | None
) -> T:
    """The event in its raw form. Raises InvalidInput with reason and field."""
    try:
        return from_json(value) if is_json(value) else msgspec.convert(avro.decode(value, schemas), form)
    except UNREADABLE as error:
        raise from_msgspec(error, value, form) from error
