"""Receipts at a fifth of the price: what many receipts share is encoded once.

The bytes are those of `receipts.encode_receipt`; a law holds that (tests/laws/test_receipt_writer.py). A sender writes
one receipt per push, so this is a good part of its cost; see docs/benchmarks.md.
"""

from __future__ import annotations

from binascii import hexlify
from collections.abc import Sequence
from typing import Any, TypeVar

from pushcast.model.batch import NO_LABEL, NO_NOTES, Message, ReceiptLabel
from pushcast.model.words import Source
from pushcast.wire.answers.receipts import Receipt, encode_receipt
from pushcast.wire.avro_bytes import FALSE, NULL, SECOND, TRUE, bytes_of, long_of, optional_long_of, optional_of
from pushcast.wire.headers import LEDGER, Headers
from pushcast.wire.schemas import NEWEST_GENERATION, avro_type, written_type

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")

_NEWEST = avro_type("receipt")
_PLAIN = written_type("receipt", 1)
_HEX_BYTES = b"\x40"  # length of a delivery id's 32 hex digits, zigzag
_NO_LABEL_BYTES = NULL * 3  # due_at, campaign, variant
_MAX_CACHED = 1024
_SMALL = tuple(long_of(value) for value in range(8192))  # every value of one or two bytes
_PRESENT = tuple(SECOND + size for size in _SMALL)  # a string that may be null, and its length

#: Target, the provider's id and HTTP status, and when it ended in milliseconds since the epoch.
TargetEnd = tuple[int, str | None, int | None, int]


class ReceiptWriter:
    """Receipts of one (app, class, platform, lane, dry run, run, source, source partition). Times are milliseconds.

    Remembers what it wrote of verdicts, labels and times, each up to a bound. `generation`: `schemas.write`.
    """

    __slots__ = (
        *("_app", "_end", "_frame", "_generation", "_labels", "_lead", "_middles", "_plain_tail", "_shared"),
        *("_source", "_times", "_verdicts"),
    )

    def __init__(
        self,
        *,
        app: str,
        klass: str,
        platform: str,
        lane: str,
        dry_run: bool,
        run: int,
        source_partition: int,
        source: int = Source.NOTIFICATION,
        generation: int = NEWEST_GENERATION,
    ) -> None:
        self._shared: dict[str, Any] = {
            "app": app,
            "klass": klass,
            "platform": platform,
            "lane": lane,
            "dry_run": dry_run,
            "run": run,
            "source_partition": source_partition,
            "source": source,
        }
        self._generation = generation
        plain = _PLAIN if generation < NEWEST_GENERATION and not source else _NEWEST
        self._frame = plain.frame + _HEX_BYTES
        self._source = long_of(source)
        self._plain_tail = NULL if plain is _PLAIN else NULL + self._source + _NO_LABEL_BYTES + NULL
        self._app = SECOND + bytes_of(app.encode()) + SECOND
        self._lead = SECOND + bytes_of(platform.encode()) + bytes_of(lane.encode()) + bytes_of(klass.encode())
        self._end = (TRUE if dry_run else FALSE) + long_of(run) + long_of(source_partition)
        self._verdicts: dict[tuple[str, str | None], bytes] = {}
        self._middles: dict[tuple[int | None, int], bytes] = {}
        self._times: dict[int, bytes] = {}
        self._labels: dict[tuple[ReceiptLabel, str | None], tuple[bytes, bytes]] = {}

    def encode(
        self,
        delivery_hex: bytes,
        notification_id: bytes,
        user: bytes,
        device: bytes,
        outcome: str,
        reason: str | None,
        provider_id: bytes | None,
        provider_status: int | None,
        attempts: int,
        source_offset: int,
        created_at: int,
        ended_at: int,
        label: ReceiptLabel = NO_LABEL,
        app_version: str | None = None,
    ) -> bytes:
        """Framed Avro. Texts that differ from receipt to receipt are UTF-8 already: the user is the record key too."""
        small = _SMALL
        frame, tail = self._ending(label, app_version)
        try:
            return b"".join(
                (
                    frame,
                    delivery_hex,
                    small[len(notification_id)],
                    notification_id,
                    small[len(user)],
                    user,
                    self._app,
                    small[len(device)],
                    device,
                    self._verdicts.get((outcome, reason)) or self._verdict(outcome, reason),
                    NULL if provider_id is None else _PRESENT[len(provider_id)] + provider_id,
                    self._middles.get((provider_status, attempts)) or self._middle(provider_status, attempts),
                    small[source_offset] if 0 <= source_offset < 8192 else long_of(source_offset),
                    self._times.get(created_at) or self._time(created_at),
                    self._times.get(ended_at) or self._time(ended_at),
                    tail,
                )
            )
        except IndexError:  # a text of more than 8191 bytes: no id is, but a hand-made record may hold one
            receipt = Receipt(
                delivery_id=bytes.fromhex(delivery_hex.decode()),
                notification_id=notification_id.decode(),
                user=user.decode(),
                device=device.decode(),
                outcome=outcome,
                reason=reason,
                provider_id=None if provider_id is None else provider_id.decode(),
                provider_status=provider_status,
                attempts=attempts,
                source_offset=source_offset,
                created_at=created_at,
                ended_at=ended_at,
                due_at=label.due_at,
                campaign=label.campaign,
                variant=label.variant,
                replay_of=label.replay_of,
                app_version=app_version,
                **self._shared,
            )
            return encode_receipt(receipt, self._generation)

    def encode_all(
        self, message: Message, ends: Sequence[TargetEnd], outcome: str, reason: str | None, ledger_prefix: bytes
    ) -> list[tuple[bytes, bytes, Headers]] | None:
        """Value, key and headers of the receipts of targets that ended alike: values as `encode` makes them, each with
        the header of its entry in the ledger. None when one is too long for the fast way."""
        targets, notes = message.targets, message.notes
        notifications, delivery_ids, users, devices = (
            *(targets.notification, targets.delivery_id),
            *(targets.user, targets.device),
        )
        attempts, source_offsets, versions = targets.attempt, targets.source_offset, targets.app_version
        notification_ids, created_at = message.notification_ids, message.created_at
        labelled = versions is not None or (notes is not NO_NOTES and notes != NO_NOTES)
        small, present, times, middles = _SMALL, _PRESENT, self._times, self._middles
        frame, app, tail = self._frame, self._app, self._plain_tail
        verdict = self._verdicts.get((outcome, reason)) or self._verdict(outcome, reason)
        records: list[tuple[bytes, bytes, Headers]] = []
        join = b"".join
        try:
            for target, provider_id, status, ended_at in ends:
                notification, delivery_hex = notifications[target], hexlify(delivery_ids[target])
                note, user = notification_ids[notification].encode(), users[target].encode()
                device, answer = devices[target].encode(), b"" if provider_id is None else provider_id.encode()
                created, offset, tried = created_at[notification], source_offsets[target], attempts[target]
                if labelled:
                    frame, tail = self._ending(
                        notes.label(notification), None if versions is None else versions[target]
                    )
                value = join(
                    (
                        frame,
                        delivery_hex,
                        small[len(note)],
                        note,
                        small[len(user)],
                        user,
                        app,
                        small[len(device)],
                        device,
                        verdict,
                        NULL if provider_id is None else present[len(answer)],
                        answer,
                        middles.get((status, tried)) or self._middle(status, tried),
                        small[offset] if 0 <= offset < 8192 else long_of(offset),
                        times.get(created) or self._time(created),
                        times.get(ended_at) or self._time(ended_at),
                        tail,
                    )
                )
                records.append((value, user, [(LEDGER, ledger_prefix + delivery_hex)]))
        except IndexError:  # a text of more than 8191 bytes
            return None
        return records

    def _ending(self, label: ReceiptLabel, app_version: str | None) -> tuple[bytes, bytes]:
        """How a receipt begins and ends that says this."""
        if app_version is None and label == NO_LABEL:
            return self._frame, self._plain_tail
        return self._labels.get((label, app_version)) or self._labelled(label, app_version)

    def _verdict(self, outcome: str, reason: str | None) -> bytes:
        made = self._lead + bytes_of(outcome.encode()) + optional_of(reason)
        return _keep(self._verdicts, (outcome, reason), made)

    def _middle(self, status: int | None, attempts: int) -> bytes:
        made = optional_long_of(status) + long_of(attempts) + self._end
        return _keep(self._middles, (status, attempts), made)

    def _labelled(self, label: ReceiptLabel, app_version: str | None) -> tuple[bytes, bytes]:
        repeats = optional_of(label.replay_of)
        if self._plain_tail == NULL and app_version is None and label._replace(replay_of=None) == NO_LABEL:
            return _keep(self._labels, (label, app_version), (self._frame, repeats))  # the first version has that
        texts = b"".join(map(optional_of, (label.campaign, label.variant, app_version)))
        tail = repeats + self._source + optional_long_of(label.due_at) + texts
        return _keep(self._labels, (label, app_version), (_NEWEST.frame + _HEX_BYTES, tail))

    def _time(self, value: int) -> bytes:
        return _keep(self._times, value, long_of(value))


def _keep(cache: dict[_Key, _Value], key: _Key, value: _Value) -> _Value:
    if len(cache) >= _MAX_CACHED:
        cache.clear()
    cache[key] = value
    return value
