"""Receipts at a fifth of the price: what many receipts share is encoded once.

The bytes are those of `receipts.encode_receipt`; a law holds that (tests/laws/test_receipt_writer.py). A sender writes
one receipt per push, so this is a good part of its cost; see docs/benchmarks.md.
"""

from __future__ import annotations

from pushcast.wire.schemas import avro_type

_NULL = b"\x00"
_SECOND = b"\x02"  # index 1 of a union, zigzag
_HEX_BYTES = b"\x40"  # length of a delivery id's 32 hex digits, zigzag
_FRAME = avro_type("receipt").frame + _HEX_BYTES
_MAX_CACHED = 1024


def _varint(rest: int) -> bytes:
    """Seven bits a byte, low first."""
    out = bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def _long(value: int) -> bytes:
    """Avro long: zigzag, so that small negative numbers are short too."""
    return _varint((value << 1) ^ (value >> 63))


_SMALL = tuple(_long(value) for value in range(8192))  # every value of one or two bytes
# The low 14 bits of a longer one, by zigzag value: two bytes that say "more follows".
_LOW = tuple(bytes((low & 0x7F | 0x80, low >> 7 | 0x80)) for low in range(1 << 14))


def _string(text: str) -> bytes:
    data = text.encode()
    size = len(data)
    return (_SMALL[size] if size < 8192 else _long(size)) + data


class ReceiptWriter:
    """Receipts of one (app, class, platform, lane, dry run, run, source partition). Times are milliseconds."""

    __slots__ = ("_app", "_high", "_high_bytes", "_lead", "_status", "_tail", "_verdicts")

    def __init__(
        self, *, app: str, klass: str, platform: str, lane: str, dry_run: bool, run: int, source_partition: int
    ) -> None:
        self._app = _SECOND + _string(app) + _SECOND
        self._lead = _SECOND + _string(platform) + _string(lane) + _string(klass)
        self._tail = (b"\x01" if dry_run else b"\x00") + _long(run) + _long(source_partition)
        self._verdicts: dict[tuple[str, str | None], bytes] = {}
        self._status: dict[int | None, bytes] = {None: _NULL}
        self._high = -1
        self._high_bytes = b""

    def encode(
        self,
        delivery_hex: bytes,
        notification_id: str,
        user: bytes,
        device: str,
        outcome: str,
        reason: str | None,
        provider_id: str | None,
        provider_status: int | None,
        attempts: int,
        source_offset: int,
        created_at: int,
        ended_at: int,
    ) -> bytes:
        """Framed Avro. `user` is UTF-8 already, because it is the record key too."""
        small = _SMALL
        size = len(user)
        return b"".join(
            (
                _FRAME,
                delivery_hex,
                _string(notification_id),
                small[size] if size < 8192 else _long(size),
                user,
                self._app,
                _string(device),
                self._verdicts.get((outcome, reason)) or self._verdict(outcome, reason),
                _NULL if provider_id is None else _SECOND + _string(provider_id),
                self._status.get(provider_status) or self._new_status(provider_status),
                small[attempts] if 0 <= attempts < 8192 else _long(attempts),
                self._tail,
                small[source_offset] if 0 <= source_offset < 8192 else self._time(source_offset),
                self._time(created_at),
                self._time(ended_at),
                _NULL,  # replay_of: a resend is an event of its own
            )
        )

    def _verdict(self, outcome: str, reason: str | None) -> bytes:
        if len(self._verdicts) >= _MAX_CACHED:
            self._verdicts.clear()
        end = _NULL if reason is None else _SECOND + _string(reason)
        made = self._verdicts[outcome, reason] = self._lead + _string(outcome) + end
        return made

    def _new_status(self, status: int | None) -> bytes:
        if status is None:
            return _NULL
        if len(self._status) >= _MAX_CACHED:
            self._status.clear()
        made = self._status[status] = _SECOND + _long(status)
        return made

    def _time(self, value: int) -> bytes:
        """An Avro long. Neighbouring times differ only in their low 14 bits, so the rest is encoded once."""
        zigzag = value << 1
        high = zigzag >> 14
        if high <= 0:
            return _long(value)
        if high != self._high:
            self._high = high
            self._high_bytes = _varint(high)
        return _LOW[zigzag & 0x3FFF] + self._high_bytes
