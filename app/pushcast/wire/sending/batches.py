"""SendBatch records: about 1 µs per target to write and to read, because targets travel in columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec

from pushcast.model.batch import NO_NOTES, Message, Notes, SendBatch, Targets
from pushcast.model.errors import InvalidInput
from pushcast.model.ids import DELIVERY_ID_BYTES
from pushcast.model.notification import MAX_BADGE, Content, LiveActivity, LocalText, Options, Sound
from pushcast.model.words import Reason, Source
from pushcast.wire.events.more import joined, more_of, replays_of, texts_only, with_replays
from pushcast.wire.json_errors import UNREADABLE
from pushcast.wire.schemas import FRAME_BYTES, avro_type, written_type

TYPE: Final = avro_type("send_batch")
#: What the release before this one reads, too, and cheaper: written for batches that have nothing beyond it.
PLAIN_TYPE: Final = written_type("send_batch", 1)
SOURCES: Final = frozenset(map(int, Source))
MAX_COUNT: Final = 2**31 - 2  # an Avro int, and one more may be counted; readers do not hold it to 32 bits
_OPTIONAL_COLUMNS: Final = ("not_after", "app_version", "content_key")
_COLUMNS = tuple(name for name in Targets.__dataclass_fields__ if name not in _OPTIONAL_COLUMNS)
_NOTE_COLUMNS = tuple(name for name in Notes.__dataclass_fields__ if name != "replay_of")  # which is in `more`
_NO_COLUMNS = [None] * len(_NOTE_COLUMNS)


def encode_batch(batch: SendBatch) -> bytes:
    """Framed Avro. The schema that the release before reads, unless something has no place in it."""
    messages = [_message(message) for message in batch.messages]
    plain = not batch.source and all(
        _is_plain(message) and datum["more"] is None for message, datum in zip(batch.messages, messages, strict=True)
    )
    return (PLAIN_TYPE if plain else TYPE).encode(
        {
            "lane": batch.lane,
            "run": batch.run,
            "first_seen_at": batch.first_seen_at,
            "platform": batch.platform,
            "source": batch.source,
            "messages": messages,
        }
    )


def _is_plain(message: Message) -> bool:
    if message.counted or message.removable or message.notes != NO_NOTES:
        return False
    return all(column is None for column in message.targets.optional_columns())


#: Of a record with its headers. PLAN's largest is 512 KiB; topics take 1 MiB, and what goes on from here to a retry,
#: parked or dead-letter topic, and back, has headers of ours in addition.
MAX_BATCH_RECORD_BYTES: Final = 786_432


def check_size(value: bytes, headers: Sequence[tuple[str, bytes | None]]) -> None:
    """Raises InvalidInput (too_large) for a record that could not be passed on: none that Pushcast wrote."""
    size = len(value) + sum([4 * len(name) + len(text or b"") for name, text in headers])
    if size > MAX_BATCH_RECORD_BYTES:
        raise InvalidInput(Reason.TOO_LARGE, f"value and headers have {size} bytes, at most {MAX_BATCH_RECORD_BYTES}")


def check_message(message: Message) -> None:
    """Raises InvalidInput (invalid_field) for what would fail later, or could not be written again."""
    targets = message.targets
    count = len(targets)
    columns: list[list[Any]] = list(targets.columns())
    columns += [column for column in targets.optional_columns() if column is not None]
    if {len(column) for column in columns} != {count}:
        raise InvalidInput(Reason.INVALID_FIELD, "the columns of targets differ in length", "targets")
    notifications = len(message.notification_ids)
    columns = [message.created_at, message.traces]
    columns += [column for column in message.notes.columns() if column is not None]
    if {len(column) for column in columns} != {notifications}:
        raise InvalidInput(Reason.INVALID_FIELD, "the columns of notifications differ in length", "notifications")
    badge = message.options.badge
    if badge is not None and not (isinstance(badge, int) and 0 <= badge <= MAX_BADGE):
        raise InvalidInput(Reason.INVALID_FIELD, f"badge is not 0 to {MAX_BADGE}", "badge")
    if not count:
        return
    if min(targets.notification) < 0 or max(targets.notification) >= notifications:
        raise InvalidInput(Reason.INVALID_FIELD, "a target names a notification that is not there", "notification")
    if set(map(len, targets.delivery_id)) != {DELIVERY_ID_BYTES}:
        raise InvalidInput(Reason.INVALID_FIELD, f"a delivery id has not {DELIVERY_ID_BYTES} bytes", "delivery_id")
    if min(targets.attempt) < 0 or max(targets.attempt) > MAX_COUNT:
        raise InvalidInput(Reason.INVALID_FIELD, f"an attempt is not 0 to {MAX_COUNT}", "attempt")


def decode_batch(value: bytes) -> SendBatch:
    """Raises InvalidInput when the bytes are not a SendBatch of this or an earlier release."""
    datum = (PLAIN_TYPE if value[:FRAME_BYTES] == PLAIN_TYPE.frame else TYPE).decode(value)
    if not 0 <= datum["run"] <= MAX_COUNT:
        raise InvalidInput(Reason.INVALID_FIELD, f"run is not 0 to {MAX_COUNT}", "run")
    return SendBatch(
        datum["lane"],
        datum["platform"],
        [message_of(m) for m in datum["messages"]],
        datum["run"],
        datum["first_seen_at"],
        _source(datum),
    )


def _source(datum: dict[str, Any]) -> int:
    """Of a batch of whatever version: the plain one has notifications alone."""
    source: int = datum.get("source", Source.NOTIFICATION)
    if source not in SOURCES:
        raise InvalidInput(Reason.INVALID_FIELD, f"source is none of {', '.join(map(str, sorted(SOURCES)))}", "source")
    return source


def _message(message: Message) -> dict[str, Any]:
    content, options, targets = message.content, message.options, message.targets
    return {
        "app": message.app,
        "class": message.klass,
        "content": {
            "title": content.title,
            "body": content.body,
            "data": texts_only(content.data),
            "locales": {k: {"title": v.title, "body": v.body} for k, v in content.locales.items()},
        },
        "options": _options(options),
        "content_hash": message.content_hash,
        "more": with_replays(more_of(content, options, message.quiet, message.sealing), message.notes.replay_of),
        "counted": message.counted,
        "removable": message.removable,
        "notifications": {
            "id": message.notification_ids,
            "created_at": message.created_at,
            "trace": message.traces,
            **{name: getattr(message.notes, name) for name in _NOTE_COLUMNS},
        },
        "targets": {name: getattr(targets, name) for name in (*_COLUMNS, *_OPTIONAL_COLUMNS)},
    }


def _options(options: Options) -> dict[str, Any]:
    fields = msgspec.structs.asdict(options)
    if isinstance(options.sound, Sound):
        fields["sound"] = None
    if options.live_activity is not None:
        fields["live_activity"] = msgspec.structs.asdict(options.live_activity)
    return fields


def message_of(datum: dict[str, Any]) -> Message:
    """A message as fastavro reads it. Raises InvalidInput (undecodable) for a `more` that nobody writes."""
    content, options = datum["content"], datum["options"]
    if options["live_activity"] is not None:
        options["live_activity"] = LiveActivity(**options["live_activity"])
    locales = content["locales"]
    notes, targets, more = datum["notifications"], datum["targets"], datum.get("more")
    read = Content(
        content["title"],
        content["body"],
        content["data"],
        {k: LocalText(**v) for k, v in locales.items()} if locales else {},
    )
    how, quiet, sealing, replays = Options(**options), None, None, None
    if more is not None:
        try:
            read, how, quiet, sealing = joined(read, how, more)
            replays = replays_of(more)
        except UNREADABLE as error:
            raise InvalidInput(Reason.UNDECODABLE, "not a send_batch record: more is not what it should be") from error
    message = message_with((datum["app"], datum["class"], read, how, datum["content_hash"]), notes, targets)
    message.counted, message.removable = datum.get("counted", False), datum.get("removable", False)
    message.quiet, message.sealing = quiet, sealing
    if replays is not None:
        message.notes = replace(message.notes, replay_of=replays)
    return message


def message_with(
    head: tuple[str, str, Content, Options, bytes], notes: Mapping[str, Any], targets: Mapping[str, Any]
) -> Message:
    """A message with these columns of notifications and targets, by name. `head`: app, class, content, options and
    content hash."""
    return Message(
        *head,
        notes["id"],
        notes["created_at"],
        notes["trace"],
        Targets(*(targets[name] for name in _COLUMNS), *(targets.get(name) for name in _OPTIONAL_COLUMNS)),
        _notes(notes),
    )


def _notes(datum: Mapping[str, Any]) -> Notes:
    columns = [datum.get(name) for name in _NOTE_COLUMNS]
    return NO_NOTES if columns == _NO_COLUMNS else Notes(*columns)
