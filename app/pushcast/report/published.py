"""Sums of a partition as records of `push.report.v1`: for programs that want reports in a database of theirs. Pure."""

from __future__ import annotations

from typing import Any

import orjson

from pushcast.report.answers import state_of
from pushcast.report.notes import Note, outcomes
from pushcast.wire.times import rfc3339


def key_of(note: Note, partition: int) -> bytes:
    """The record key: `kind NUL id NUL partition`, so that compaction keeps the last sums of each partition."""
    return f"{note.kind}\0{note.id}\0{partition}".encode()


def value_of(note: Note, partition: int, version: int, now_ms: int) -> bytes:
    """The record value, JSON: flat, so that rows of a table can be added up over partitions.

    `version` grows with what was read; a record with a lower one than another of its key is void.
    """
    planned, ended = note.planned_count, note.ended_count
    value: dict[str, Any] = {
        "kind": note.kind,
        "id": note.id,
        "partition": partition,
        "version": version,
        "app": note.app or None,
        "class": note.klass or None,
        "campaign": note.campaign or None,
        "dry_run": note.dry_run,
        "created_at": rfc3339(note.created_at) if note.created_at else None,
        "last_ended_at": rfc3339(note.last_ended_at) if note.last_ended_at else None,
        "state": state_of(note, now_ms),
        "planned": planned,
        "open": planned - ended,
        "held": max(0, note.held),
        **outcomes(note),
        "received": note.received,
        "opened": note.opened,
        "copies_of_receipts": note.copies,
        "at": rfc3339(now_ms),
    }
    return orjson.dumps(value)
