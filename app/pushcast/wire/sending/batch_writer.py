"""SendBatch records from parts that are encoded already: a quarter of the price of `encode_batch`.

The bytes are those of `batches.encode_batch` (tests/laws/test_batch_writer.py). PLAN writes one target per notification
and device, so this is a good part of its cost; see docs/benchmarks.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pushcast.model.batch import NO_LABEL, NoteKind, ReceiptLabel
from pushcast.model.words import Source
from pushcast.wire.avro_bytes import (
    END,
    NULL,
    ONE,
    SECOND,
    array_of,
    bytes_of,
    long_of,
    optional_bytes_of,
    optional_long_of,
    optional_of,
)
from pushcast.wire.devices.row_reader import Device
from pushcast.wire.devices.row_tail import content_key_of
from pushcast.wire.events.more import with_replays
from pushcast.wire.schemas import NEWEST_GENERATION, avro_type
from pushcast.wire.sending.batches import PLAIN_TYPE
from pushcast.wire.sending.message_head import FLAGS

#: What a message adds to a batch beyond its content and its targets, at most: app, class, options' fixed part, hash,
#: and the block counts and ends of fifteen arrays.
MESSAGE_OVERHEAD_BYTES = 320
#: What a target adds beyond its user and what `Device.size` says: index, delivery id, offset, expiry, attempt.
TARGET_OVERHEAD_BYTES = 48
#: What the content key of a device adds to its target, at most.
CONTENT_KEY_OVERHEAD_BYTES = 192
#: Frame, lane, run, platform, count of messages.
BATCH_OVERHEAD_BYTES = 64

_BATCH_FRAME = PLAIN_TYPE.frame
_EXTENDED_FRAME = avro_type("send_batch").frame
_NO_NOTE_COLUMNS = NULL * 5
_FIRST_RUN = long_of(0) + NULL  # run 0, no first_seen_at
_NO_ATTEMPT = long_of(0)
_DELIVERY_SIZE = long_of(16)
_NO_TEXT = long_of(0)
_BETWEEN_SINGLES = END + ONE
_ONE_VERSION = SECOND + ONE

Target = tuple[bytes, ...]
_Note = tuple[bytes, int, str, ReceiptLabel]  # id encoded, created_at, trace


def broadcast_columns(broadcast_id: str, variant: str | None, campaign: str | None, due_at: int | None = None) -> bytes:
    """The columns by notification of a message that is a broadcast's: campaign, broadcast, variant, due_at, kind.
    `due_at`: milliseconds since the epoch; None: when it was created."""
    texts = b"".join([_column([optional_of(text)], (text,)) for text in (campaign, broadcast_id, variant)])
    due = _column([optional_long_of(due_at)], (due_at,))
    return texts + due + SECOND + array_of([long_of(NoteKind.BROADCAST)])


class MessageWriter:
    """One message of a batch, growing by notifications and their targets.

    `head`: see `message_head`; `more`: what the head has no place for (`events.more`). `broadcast`: the columns of the
    broadcast that its one notification is (`broadcast_columns`). `part_of`: id of the broadcast that all of them are
    parts of, which have labels.
    """

    __slots__ = (
        *("_broadcast", "_head", "_keys", "_notes", "_part_of", "_targets"),
        *("counted", "labelled", "more", "removable", "versioned"),
    )

    def __init__(
        self,
        head: bytes,
        more: str | None = None,
        broadcast: bytes | None = None,
        *,
        removable: bool = False,
        counted: bool = False,
        keyed: bool = False,
        part_of: str | None = None,
    ) -> None:
        """`keyed`: targets take the content keys of their devices along."""
        self._head = head
        self._keys: list[bytes] | None = [] if keyed else None
        self.removable = removable  # removals want to hear how its deliveries ended
        self.counted = counted  # frequency caps want to
        self.more = more
        self._broadcast = broadcast
        self._part_of = part_of
        self._notes: list[_Note] = []
        self.labelled = False  # whether a notification has what only the newest schema has columns for
        self._targets: list[Target] = []  # the version of the app last
        self.versioned = False  # whether any of them is known

    def holds(self, notification_id: bytes, created_at: int, trace: str) -> bool:
        """Whether the notification (its id encoded) is the last one added."""
        return bool(self._notes) and self._notes[-1][:3] == (notification_id, created_at, trace)

    @property
    def traces(self) -> Sequence[str]:
        """Traceparents of its notifications; empty where one has none."""
        return [trace for _, _, trace, _ in self._notes]

    def index_of(self, notification_id: bytes, created_at: int, trace: str, label: ReceiptLabel = NO_LABEL) -> bytes:
        """Encoded index of a notification for its targets. The same one as before keeps its index."""
        notes, note = self._notes, (notification_id, created_at, trace, label)
        if not notes or notes[-1] != note:
            notes.append(note)
            if label is not NO_LABEL and label != NO_LABEL:
                self.labelled = True
        return long_of(len(notes) - 1)

    def add(
        self, index: bytes, user: bytes, device: Device, delivery_id: bytes, source_offset: bytes, expires_at: bytes
    ) -> None:
        """One target. All but the delivery id are encoded."""
        _, _, _, _, name, kind, address, key_id, token_hash, registered_at, version, _, _, _ = device
        if self._keys is not None:
            self._keys.append(optional_bytes_of(content_key_of(device)))
        if version != NULL:
            self.versioned = True
        self._targets.append(
            (
                index,
                user,
                name,
                _DELIVERY_SIZE + delivery_id,
                kind,
                address,
                key_id,
                token_hash,
                registered_at,
                source_offset,
                expires_at,
                _NO_ATTEMPT,
                version,
            )
        )

    def encode(self, *, extended: bool, versions: bool = True) -> bytes:
        """The message, without what a batch adds. `extended`: in the newest schema, not the plain one, and there with
        the versions of the targets' apps or without."""
        told = labels = b""
        if extended:
            more = self.more
            if self.labelled:
                more = with_replays(more, [label.replay_of for _, _, _, label in self._notes])
            told = optional_of(more) + FLAGS[self.counted] + FLAGS[self.removable]
            labels = self._label_columns()
        if len(self._targets) == 1:  # a chat: every column is a block of one
            ((note_id, created_at, trace, _),) = self._notes
            index, *target, version = self._targets[0]
            last = (bytes_of(trace.encode()) if trace else _NO_TEXT) + END + labels + ONE + index
            columns = ONE + _BETWEEN_SINGLES.join((note_id, long_of(created_at), last, *target)) + END
            known = _ONE_VERSION + version + END
        else:
            *many, many_versions = zip(*self._targets, strict=True)
            columns = b"".join((*self._note_columns(), labels, *_columns(many)))
            known = SECOND + array_of(many_versions)
        if not extended:
            return self._head + columns
        if not (versions and self.versioned):
            known = NULL
        keys = NULL if self._keys is None else _column(self._keys, self._keys, NULL)
        return b"".join((self._head, told, columns, NULL, known, keys))  # no not_after

    def _note_columns(self) -> list[bytes]:
        ids, created_at, traces, _ = zip(*self._notes, strict=True)
        return [
            array_of(ids),
            array_of([long_of(at) for at in created_at]),
            array_of([bytes_of(trace.encode()) for trace in traces]),
        ]

    def _label_columns(self) -> bytes:
        """campaign, broadcast, variant, due_at, kind, each absent where no notification has a value."""
        if self._broadcast is not None:
            return self._broadcast
        if not self.labelled and self._part_of is None:
            return _NO_NOTE_COLUMNS
        due, campaigns, variants, _ = zip(*[label for _, _, _, label in self._notes], strict=True)
        texts = [_column([optional_of(text) for text in column], column) for column in (campaigns, variants)]
        broadcast, kind, count = NULL, NULL, len(self._notes)
        if self._part_of is not None:
            broadcast = SECOND + array_of([optional_of(self._part_of)] * count)
            kind = SECOND + array_of([long_of(NoteKind.BROADCAST)] * count)
        return texts[0] + broadcast + texts[1] + _column([optional_long_of(at) for at in due], due) + kind


def _columns(columns: Sequence[Sequence[bytes]]) -> list[bytes]:
    count = long_of(len(columns[0]))
    parts: list[bytes] = []
    for column in columns:
        parts += (count, b"".join(column), END)
    return parts


def _column(encoded: Sequence[bytes], values: Sequence[object], nothing: object = None) -> bytes:
    """A union of null and an array: null where nothing has a value."""
    return NULL if all(value == nothing for value in values) else SECOND + array_of(encoded)


def batch_of(
    lane: str,
    platform: str,
    messages: Iterable[MessageWriter],
    source: int = Source.NOTIFICATION,
    generation: int = NEWEST_GENERATION,
) -> bytes:
    """Framed Avro for `push.send.<platform>.<lane>.v1`: first run, messages in the given order, each with targets.

    An earlier generation is written without the versions of apps, so that senders of the release before can read it.
    """
    messages = list(messages)
    versions = generation >= NEWEST_GENERATION
    extended = bool(source) or any(
        message.more is not None
        or message.labelled
        or message.removable
        or message.counted
        or (versions and message.versioned)
        for message in messages
    )
    head = bytes_of(lane.encode()) + _FIRST_RUN + bytes_of(platform.encode())
    head = _EXTENDED_FRAME + head + long_of(source) if extended else _BATCH_FRAME + head
    return head + array_of([message.encode(extended=extended, versions=versions) for message in messages])
