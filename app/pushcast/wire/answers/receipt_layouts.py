"""How receipts are laid out whose columns have equal sizes: where each column stands, and what it is worth."""

from __future__ import annotations

from binascii import unhexlify
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from struct import Struct
from typing import Final, NamedTuple

from pushcast.wire.answers.receipt_reader import (
    DIGITS_AT,
    FRAME,
    NOTE_AT,
    PLAIN_ENDS,
    STATUSES,
    ReadReceipt,
    labels,
    section_at,
    sections,
)
from pushcast.wire.avro_bytes import NULL, time_at
from pushcast.wire.schemas import FRAME_BYTES

_MAX_APPS: Final = 256
_MAX_HIGHS: Final = 4096
_LONG: Final = 0x81  # of a number's first byte: below zero, or more bytes follow
_SET: Final = 2  # of a union with null: not null
_NULL_BYTES: Final = 1
_STATUS_BYTES: Final = 3
_TIME_BYTES: Final = 6
_PLAIN_END_BYTES: Final = 6
_MORE_FOLLOW: Final = bytes(range(0x80, 0x100))
_SMALL: Final = bytes(range(0, 0x80, 2))  # numbers of one byte that are not below zero
_BOOLEANS: Final = b"\0\1"


class _Widths(NamedTuple):
    """Bytes of the columns that differ in size; of an app or a device None for null."""

    note: int
    user: int
    app: int | None
    device: int | None
    section: int
    provider: int | None
    status: int
    source: int  # partition and offset
    end: int  # from replay_of on


class _Texts(dict[bytes, str]):
    """Few texts that stand in many receipts."""

    def __missing__(self, key: bytes) -> str:
        if len(self) >= _MAX_APPS:
            self.clear()
        text = self[key] = key.decode()
        return text


class _Highs(dict[bytes, int]):
    """What the last four of a time's six bytes are worth."""

    def __missing__(self, key: bytes) -> int:
        found, end = time_at(b"\x80\x80" + key, 0)
        if end != _TIME_BYTES:
            raise ValueError("no time of six bytes")
        if len(self) >= _MAX_HIGHS:
            self.clear()
        self[key] = found
        return found


def _lows() -> list[int | None]:
    """What the first two of a time's six bytes are worth, as `H` reads them. None: it is below zero, or shorter."""
    numbers = list(range(1 << 13))  # each object once
    return [
        numbers[(low & 0x7F | (high & 0x7F) << 7) >> 1] if low & high & 0x80 and not low & 1 else None
        for high in range(0x100)
        for low in range(0x100)
    ]


_statuses: Final[Mapping[bytes, int | None]] = {**STATUSES, NULL: None}
_apps: Final = _Texts()
_highs: Final = _Highs()
_LOWS: Final = _lows()
_NO_APP: Final[Mapping[bytes, None]] = {b"": None}


def _no_device(_: bytes) -> None:
    return None


class ReceiptLayout:
    """Where the columns stand in receipts of equal sizes."""

    def __init__(self, widths: _Widths) -> None:
        self._fixed: list[int] = [*range(DIGITS_AT)]  # bytes that say how a receipt is laid out
        self._format: list[str] = [f"<{DIGITS_AT}x", "32s"]
        self._at = NOTE_AT
        for size in (widths.note, widths.user):
            self._text(size, 1)
        for optional in (widths.app, widths.device):
            self._text(optional or 0, _NULL_BYTES if optional is None else 2)
        self._take(f"{widths.section}s", widths.section)
        self._fix(_NULL_BYTES if widths.provider is None else 2)
        self._provider = range(self._at, self._at + (widths.provider or 0))
        self._skip(len(self._provider))
        self._take(f"{widths.status}s", widths.status)
        self._numbers_at = self._at
        self._take("BBB", 3)  # attempts, dry_run, run
        self._source = range(self._at, self._at + widths.source)
        self._skip(widths.source)
        self._take("H4sH4s", 2 * _TIME_BYTES)
        self._take(f"{widths.end}s", widths.end)
        self._is_plain = widths.end == _PLAIN_END_BYTES
        self._take_apart = Struct("".join(self._format)).iter_unpack
        self._apps: Mapping[bytes, str | None] = _NO_APP if widths.app is None else _apps
        self._device_of: Callable[[bytes], str | None] = _no_device if widths.device is None else bytes.decode

    def read(self, values: Sequence[bytes]) -> list[ReadReceipt]:
        """Receipts, the first of which is laid out like this. Raises IndexError, KeyError, TypeError or ValueError when
        another one is not, or some are not as our writers write them."""
        block = b"".join(values)
        if self._at != len(values[0]) or not self._fits(block, values[0]):
            raise ValueError("not all are laid out alike")
        found = self._plain(block) if self._is_plain else self._labelled(block)
        if not b"".join([each.user for each in found]).isascii():
            for each in found:
                each.user.decode()  # only a check
        return found

    def _plain(self, block: bytes) -> list[ReadReceipt]:
        apps, device_of, known, statuses, highs, lows = self._apps, self._device_of, sections, _statuses, _highs, _LOWS
        ends, decode, digits_of = PLAIN_ENDS, bytes.decode, unhexlify
        return [
            ReadReceipt(
                digits_of(digits), decode(note), user, apps[app], device_of(device), known[section], statuses[status],
                attempts >> 1, dry_run == 1, run >> 1, (created_at := highs[created] | lows[created_low]),
                highs[ended] | lows[ended_low], ends[end], created_at,
            )
            for digits, note, user, app, device, section, status, attempts, dry_run, run, created_low, created,
                ended_low, ended, end in self._take_apart(block)
        ]  # fmt: skip

    def _labelled(self, block: bytes) -> list[ReadReceipt]:
        """As `_plain`: some have a campaign, a variant, a due time or the version of an app."""
        apps, device_of, known, statuses, highs, lows = self._apps, self._device_of, sections, _statuses, _highs, _LOWS
        ends, decode, digits_of = labels, bytes.decode, unhexlify
        return [
            ReadReceipt(
                digits_of(digits), decode(note), user, apps[app], device_of(device), known[section], statuses[status],
                attempts >> 1, dry_run == 1, run >> 1, (created_at := highs[created] | lows[created_low]),
                highs[ended] | lows[ended_low], (label := ends[end]).source, label.due_at or created_at, label.variant,
            )
            for digits, note, user, app, device, section, status, attempts, dry_run, run, created_low, created,
                ended_low, ended, end in self._take_apart(block)
        ]  # fmt: skip

    def _fits(self, block: bytes, first: bytes) -> bool:
        """Whether the bytes that tell the layout are those of the first in all receipts of the block."""
        stride, count = self._at, len(block) // self._at
        attempts, dry_run, run = range(self._numbers_at, self._numbers_at + 3)
        return (
            all(block[place::stride] == first[place : place + 1] * count for place in self._fixed)
            and not block[attempts::stride].translate(None, _SMALL)
            and not block[run::stride].translate(None, _SMALL)
            and not block[dry_run::stride].translate(None, _BOOLEANS)
            and all(block[place::stride].isascii() for place in self._provider)
            and all(
                not block[place::stride].translate(None, _MORE_FOLLOW)
                if first[place] & 0x80
                else block[place::stride].isascii()
                for place in self._source
            )
        )

    def _text(self, size: int, before: int) -> None:
        self._fix(before)
        self._take(f"{size}s", size)

    def _fix(self, size: int) -> None:
        self._fixed += range(self._at, self._at + size)
        self._skip(size)

    def _skip(self, size: int) -> None:
        self._format.append(f"{size}x")
        self._at += size

    def _take(self, code: str, size: int) -> None:
        self._format.append(code)
        self._at += size


_layout: Final = lru_cache(maxsize=256)(ReceiptLayout)


def layout_of(value: bytes) -> ReceiptLayout:
    """Of a receipt. Raises IndexError or ValueError for one that is not laid out as most are."""
    return _layout(_widths_of(value))


def _widths_of(value: bytes) -> _Widths:
    if not value.startswith(FRAME) or value[FRAME_BYTES] != 2 * (NOTE_AT - DIGITS_AT):
        raise ValueError("no receipt of ours")
    note, at = _text(value, NOTE_AT)
    user, at = _text(value, at)
    app, at = _optional(value, at)
    device, at = _optional(value, at)
    section_from = at
    _, at = section_at(value, at)
    section = at - section_from
    provider, at = _optional(value, at)
    status = _STATUS_BYTES if value[at] else _NULL_BYTES
    at += status + 3
    source_from = at
    for _ in ("partition", "offset"):
        at = _behind_number(value, at)
    source, end = at - source_from, len(value) - at - 2 * _TIME_BYTES
    if end < _PLAIN_END_BYTES:
        raise ValueError("it ends too early")
    return _Widths(note, user, app, device, section, provider, status, source, end)


def _text(value: bytes, at: int) -> tuple[int, int]:
    """Size of a text of less than 64 bytes, and where it ends."""
    if value[at] & _LONG:
        raise ValueError("no short text")
    size = value[at] >> 1
    return size, at + 1 + size


def _optional(value: bytes, at: int) -> tuple[int | None, int]:
    if not value[at]:
        return None, at + 1
    if value[at] != _SET:
        raise ValueError("neither null nor a text")
    return _text(value, at + 1)


def _behind_number(value: bytes, at: int) -> int:
    while value[at] & 0x80:
        at += 1
    return at + 1
