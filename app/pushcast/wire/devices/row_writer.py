"""Device rows at a quarter of the price. The bytes are those of `devices.encode_row`; tests/laws/test_row_writer.py
holds that. REGISTER writes one row per registration, so this is a good part of its cost; see docs/benchmarks.md.
"""

from __future__ import annotations

from typing import TypeVar

from pushcast.model.device import DeviceRow
from pushcast.wire.avro_bytes import (
    END,
    NULL,
    array_of,
    bytes_of,
    long_of,
    map_of,
    optional_bytes_of,
    optional_long_of,
    optional_of,
)
from pushcast.wire.schemas import NEWEST_GENERATION, avro_type, written_type

_FRAME = avro_type("device_row").frame
#: What the release before wrote: the same row without the later columns.
_BEFORE_FRAME = written_type("device_row", 1).frame
_MAX_CACHED = 4096
_MAX_CACHED_BYTES = 256

_NOTHING_LATER_BYTES = NULL * 5 + END + NULL * 5
#: Of a device that was registered and says no more: behind the times of its first event and of its topics.
_NOTHING_MORE = (None,) * 9
_NOTHING_MORE_BYTES = NULL * 3 + END + NULL * 6

Key = TypeVar("Key")
_Texts = tuple[str | None, str | None, str | None, tuple[str, ...]]


class RowWriter:
    """Encodes rows; remembers what many rows share: names, locales, topics, times. Bounded.

    `generation` 1 writes a row as the release before did, unless it says what that release could not: nothing that a
    registration says is lost, and readers of that release leave such a row out. What REGISTER notes by itself (when the
    row, its topics or its zone were new) is left out then: every new row has it, and old planners would see none.
    """

    __slots__ = ("_before", "_frame", "_kinds", "_said", "_tail", "_texts", "_times", "_words")

    def __init__(self, generation: int = NEWEST_GENERATION) -> None:
        self._before = generation < NEWEST_GENERATION
        self._frame, self._tail = (_BEFORE_FRAME, b"") if self._before else (_FRAME, _NOTHING_LATER_BYTES + NULL)
        self._words: dict[str, bytes] = {}
        self._kinds: dict[tuple[str, str], bytes] = {}
        self._texts: dict[_Texts, bytes] = {}
        self._times: dict[int, bytes] = {}
        self._said: dict[int, bytes] = {}  # of columns that may be null

    def encode(self, row: DeviceRow) -> bytes:
        """Framed Avro, the value of a row in `push.device.v1`."""
        kinds = (row.platform, row.kind)
        said = (row.locale, row.time_zone, row.app_version, row.topics)
        words = self._words
        end = NULL + NULL + NULL
        at, reason, since = row.suspended_at, row.suspended_reason, row.invalid_since
        if at is not None or reason is not None or since is not None:
            end = optional_long_of(at) + optional_of(reason) + optional_long_of(since)
        later = None if self._before and not _is_said(row) else self._later(row)
        return b"".join(
            (
                self._frame if later is None else _FRAME,
                words.get(row.app) or self._word(row.app),
                bytes_of(row.device.encode()),
                self._kinds.get(kinds) or self._kinds_of(kinds),
                bytes_of(row.address),
                words.get(row.key_id) or self._word(row.key_id),
                bytes_of(row.token_hash),
                words.get(row.state) or self._word(row.state),
                self._times.get(row.registered_at) or self._time(row.registered_at),
                self._times.get(row.seen_at) or self._time(row.seen_at),
                self._texts.get(said) or self._texts_of(*said),
                end,
                self._tail if later is None else later,
            )
        )

    def _word(self, text: str) -> bytes:
        made = bytes_of(text.encode())
        _keep(self._words, text, made)
        return made

    def _kinds_of(self, kinds: tuple[str, str]) -> bytes:
        made = b"".join([bytes_of(text.encode()) for text in kinds])
        _keep(self._kinds, kinds, made)
        return made

    def _texts_of(
        self, locale: str | None, time_zone: str | None, app_version: str | None, topics: tuple[str, ...]
    ) -> bytes:
        made = b"".join([optional_of(text) for text in (locale, time_zone, app_version)])
        made += array_of([bytes_of(topic.encode()) for topic in topics])
        _keep(self._texts, (locale, time_zone, app_version, topics), made)
        return made

    def _later(self, row: DeviceRow) -> bytes | None:
        """What the release before did not know; None when the row says nothing of it. Most rows say when they and their
        topics were new, and no more."""
        more = (
            row.removed_at, row.country, row.region, row.content_key, row.content_key_id, row.zone_before, row.zone_at,
            row.token_hash_before, row.purpose,
        )  # fmt: skip
        if more != _NOTHING_MORE or row.tags:
            return _later_columns(row)
        first_at, topics_at = row.first_at, row.topics_at
        if first_at is topics_at is None:
            return None
        first = NULL if first_at is None else self._said.get(first_at) or self._said_time(first_at)
        topics = NULL if topics_at is None else self._said.get(topics_at) or self._said_time(topics_at)
        return first + topics + _NOTHING_MORE_BYTES

    def _said_time(self, at: int) -> bytes:
        made = optional_long_of(at)
        _keep(self._said, at, made)
        return made

    def _time(self, at: int) -> bytes:
        made = long_of(at)
        _keep(self._times, at, made)
        return made


def _is_said(row: DeviceRow) -> bool:
    """Whether a registration, or the row's state, says something that the release before has no column for."""
    said = (row.country, row.region, row.content_key, row.content_key_id, row.purpose)
    return bool(row.tags) or row.removed_at is not None or row.token_hash_before is not None or said != (None,) * 5


def _later_columns(row: DeviceRow) -> bytes:
    """What the release before did not know."""
    parts = (
        *map(optional_long_of, (row.first_at, row.topics_at, row.removed_at)),
        *map(optional_of, (row.country, row.region)),
        map_of(row.tags),
        optional_bytes_of(row.content_key),
        *map(optional_of, (row.content_key_id, row.zone_before)),
        optional_long_of(row.zone_at),
        optional_bytes_of(row.token_hash_before),
        optional_of(row.purpose),
    )
    return b"".join(parts)


def _keep(cache: dict[Key, bytes], key: Key, made: bytes) -> None:
    if len(cache) >= _MAX_CACHED:
        cache.clear()
    if len(made) <= _MAX_CACHED_BYTES:
        cache[key] = made
