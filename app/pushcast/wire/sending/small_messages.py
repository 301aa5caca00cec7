"""Messages with one target each, as a reader of send records gathers them: by themselves, or several as one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pushcast.model.batch import Message, Targets, Wording
from pushcast.model.notification import Content, Options
from pushcast.model.quiet import QuietTerms
from pushcast.model.sealing import Sealing
from pushcast.wire.sending.single_columns import Row

_new: Final = tuple.__new__


class SmallMessages:
    """Messages of one record in their order; those with one target that follow each other may become one."""

    __slots__ = ("_key", "_messages", "_mixes", "_rows", "_wordings")

    def __init__(self, mixes: Callable[[str], bool]) -> None:
        self._mixes = mixes
        self._messages: list[Message] = []
        self._key: tuple[str, str, bool, bool] | None = None  # what the open ones have in common
        self._wordings: list[Wording] = []
        self._rows: list[Row] = []

    def add(self, message: Message) -> None:
        """One that Avro has read."""
        self._close()
        self._messages.append(message)

    def single(
        self,
        app: str,
        klass: str,
        content: Content,
        options: Options,
        content_hash: bytes,
        row: Row,
        quiet: QuietTerms | None,
        sealing: Sealing | None,
    ) -> None:
        """One with one target."""
        if quiet is not None or sealing is not None or not self._mixes(app):
            self._close()
            message = _message(app, klass, content, options, content_hash, row)
            message.quiet, message.sealing = quiet, sealing
            self._messages.append(message)
            return
        key = (app, klass, options.dry_run, options.at_most_once)
        if key != self._key:
            self._close()
            self._key = key
        self._wordings.append(_new(Wording, (content, options, content_hash)))  # half of what its class takes
        self._rows.append(row)

    def whole(self) -> list[Message]:
        """All of them."""
        self._close()
        return self._messages

    def _close(self) -> None:
        if self._key is None:
            return
        (app, klass, *_), rows, wordings = self._key, self._rows, self._wordings
        message = _message(app, klass, *wordings[0], rows[0])
        count = len(rows)
        if count > 1:
            message.notification_ids, message.created_at, message.traces, *columns, versions = map(
                list, zip(*rows, strict=True)
            )
            known = None if versions.count(None) == count else versions
            message.targets = Targets(list(range(count)), *columns)
            message.targets.app_version = known
            message.wordings = wordings
        self._messages.append(message)
        self._key, self._wordings, self._rows = None, [], []


def _message(app: str, klass: str, content: Content, options: Options, content_hash: bytes, row: Row) -> Message:
    note_id, created_at, trace, user, device, delivery_id, kind, address, key_id = row[:9]
    token_hash, registered_at, source_offset, expires_at, attempt, version = row[9:]
    targets = Targets(
        [0],
        [user],
        [device],
        [delivery_id],
        [kind],
        [address],
        [key_id],
        [token_hash],
        [registered_at],
        [source_offset],
        [expires_at],
        [attempt],
        app_version=None if version is None else [version],
    )
    return Message(app, klass, content, options, content_hash, [note_id], [created_at], [trace], targets)
