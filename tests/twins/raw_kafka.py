"""Record batches and produce requests, byte by byte: what clients in other languages write and ours refuse to.

Header names that are no UTF-8, null values, a record without a time, any codec, and a batch that is small on the wire
and large when it is read.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from aiokafka import codec
from aiokafka.record.util import calc_crc32c

NONE, GZIP, SNAPPY, LZ4, ZSTD = range(5)
CODECS: Final = {"none": NONE, "gzip": GZIP, "snappy": SNAPPY, "lz4": LZ4, "zstd": ZSTD}
_COMPRESS: Final[dict[int, Callable[[bytes], bytes]]] = {
    NONE: bytes,
    GZIP: codec.gzip_encode,
    SNAPPY: codec.snappy_encode,
    LZ4: codec.lz4_encode,
    ZSTD: codec.zstd_encode,
}
_PRODUCE, _VERSION = 0, 7  # the first one that knows zstd
_ANSWER_SECONDS = 30.0


class RawRecord(NamedTuple):
    """As it stands in a batch. `timestamp_ms`: -1 is a record without a time, None now."""

    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[bytes, bytes | None]] = ()
    timestamp_ms: int | None = None


def _varint(number: int) -> bytes:
    """Zigzag, as records have it."""
    left = (number << 1) ^ (number >> 63)
    out = bytearray()
    while left > 0x7F:
        out.append(left & 0x7F | 0x80)
        left >>= 7
    out.append(left)
    return bytes(out)


def _sized(value: bytes | None) -> bytes:
    return _varint(-1) if value is None else _varint(len(value)) + value


def batch(records: Sequence[RawRecord], compression: int = NONE) -> bytes:
    """A record batch of magic 2, with its checksum. https://kafka.apache.org/41/documentation.html#recordbatch"""
    now = round(time.time() * 1000)
    times = [now if record.timestamp_ms is None else record.timestamp_ms for record in records]
    packed = b""
    for offset, (record, at) in enumerate(zip(records, times, strict=True)):
        body = b"\0" + _varint(at - times[0]) + _varint(offset) + _sized(record.key) + _sized(record.value)
        body += _varint(len(record.headers))
        body += b"".join(_varint(len(name)) + name + _sized(value) for name, value in record.headers)
        packed += _varint(len(body)) + body
    packed = bytes(_COMPRESS[compression](packed))
    rest = struct.pack(">hiqqqhii", compression, len(records) - 1, times[0], max(times), -1, -1, -1, len(records))
    rest += packed
    after_length = struct.pack(">ibI", -1, 2, calc_crc32c(rest)) + rest
    return struct.pack(">qi", 0, len(after_length)) + after_length


class Refused(Exception):
    """The broker did not take a batch; `code` is Kafka's."""

    def __init__(self, code: int) -> None:
        super().__init__(f"error {code}")
        self.code = code


class RawProducer:
    """Writes to the one broker that leads everything. Use it in a `with` block."""

    def __init__(self, bootstrap_servers: str) -> None:
        host, _, port = bootstrap_servers.partition(",")[0].rpartition(":")
        self._socket = socket.create_connection((host, int(port)), _ANSWER_SECONDS)

    def __enter__(self) -> RawProducer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def produce(self, topic: str, partition: int, records: Sequence[RawRecord], compression: int = NONE) -> int:
        """Offset of the first of them, which are one batch. Raises Refused."""
        data, name = batch(records, compression), topic.encode()
        request = struct.pack(">hhih", _PRODUCE, _VERSION, 1, -1)  # no client id
        request += struct.pack(">hhiih", -1, -1, round(_ANSWER_SECONDS * 1000), 1, len(name)) + name
        request += struct.pack(">iii", 1, partition, len(data)) + data
        self._socket.sendall(struct.pack(">i", len(request)) + request)
        answer = self._read(struct.unpack(">i", self._read(4))[0])
        _, _, code, offset = struct.unpack_from(">iihq", answer, 4 + 4 + 2 + len(name))
        if code:
            raise Refused(code)
        return int(offset)

    def _read(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            more = self._socket.recv(size - len(found))
            if not more:
                raise ConnectionError("the broker has closed the connection")
            found += more
        return found
