"""Device rows at a quarter of the price. The bytes are those of `devices.encode_row`; tests/laws/test_row_writer.py
holds that. REGISTER writes one row per registration, so this is a good part of its cost; see docs/benchmarks.md.
"""

from __future__ import annotations

from typing import TypeVar

from pushcast.model.device import DeviceRow
from pushcast.wire.schemas import avro_type

_NULL = b"\x00"
_SECOND = b"\x02"  # index 1 of a union, zigzag
_END = b"\x00"  # of an array's blocks
_FRAME = avro_type("device_row").frame
_MAX_CACHED = 4096
_MAX_CACHED_BYTES = 256

Key = TypeVar("Key")


def _long(value: int) -> bytes:
    """Avro long: zigzag, seven bits a byte, low first."""
    rest = (value << 1) ^ (value >> 63)
    out = bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def _optional_long(value: int | None) -> bytes:
    return _NULL if value is None else _SECOND + _long(value)


_SIZES = tuple(_long(size) for size in range(8192))


def _bytes(data: bytes) -> bytes:
    size = len(data)
    return (_SIZES[size] if size < 8192 else _long(size)) + data


class RowWriter:
    """Encodes rows; remembers what many rows share: names, locales, topics, times. Bounded."""

    __slots__ = ("_optional", "_shared", "_times", "_topics")

    def __init__(self) -> None:
        self._shared: dict[tuple[str, ...], bytes] = {}
        self._optional: dict[tuple[str | None, ...], bytes] = {}
        self._topics: dict[tuple[str, ...], bytes] = {}
        self._times: dict[int, bytes] = {}

    def encode(self, row: DeviceRow) -> bytes:
        """Framed Avro, the value of a row in `push.device.v1`."""
        kinds = (row.platform, row.kind)
        optional = (row.locale, row.time_zone, row.app_version)
        end = _NULL + _NULL + _NULL
        at, reason, since = row.suspended_at, row.suspended_reason, row.invalid_since
        if at is not None or reason is not None or since is not None:
            end = _optional_long(at) + self._optional_of((reason,)) + _optional_long(since)
        return b"".join(
            (
                _FRAME,
                self._shared.get((row.app,)) or self._shared_of((row.app,)),
                _bytes(row.device.encode()),
                self._shared.get(kinds) or self._shared_of(kinds),
                _bytes(row.address),
                self._shared.get((row.key_id,)) or self._shared_of((row.key_id,)),
                _bytes(row.token_hash),
                self._shared.get((row.state,)) or self._shared_of((row.state,)),
                self._times.get(row.registered_at) or self._time(row.registered_at),
                self._times.get(row.seen_at) or self._time(row.seen_at),
                self._optional.get(optional) or self._optional_of(optional),
                self._topics.get(row.topics) or self._topics_of(row.topics),
                end,
            )
        )

    def _shared_of(self, texts: tuple[str, ...]) -> bytes:
        made = b"".join([_bytes(text.encode()) for text in texts])
        _keep(self._shared, texts, made)
        return made

    def _optional_of(self, texts: tuple[str | None, ...]) -> bytes:
        made = b"".join([_NULL if text is None else _SECOND + _bytes(text.encode()) for text in texts])
        _keep(self._optional, texts, made)
        return made

    def _topics_of(self, topics: tuple[str, ...]) -> bytes:
        if not topics:
            return _END
        made = _long(len(topics)) + b"".join([_bytes(topic.encode()) for topic in topics]) + _END
        _keep(self._topics, topics, made)
        return made

    def _time(self, at: int) -> bytes:
        made = _long(at)
        _keep(self._times, at, made)
        return made


def _keep(cache: dict[Key, bytes], key: Key, made: bytes) -> None:
    if len(cache) >= _MAX_CACHED:
        cache.clear()
    if len(made) <= _MAX_CACHED_BYTES:
        cache[key] = made
