"""Notification events: JSON and Avro into one validated model.

The hot path of PLAN: about 2 µs for JSON, 8 µs for Avro (docs/benchmarks.md).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import msgspec

from pushcast.model.errors import InvalidInput
from pushcast.model.notification import Content, LocalText, Notification, Options
from pushcast.model.words import Reason
from pushcast.wire.json_errors import from_msgspec
from pushcast.wire.keys import check_id
from pushcast.wire.schemas import SchemaSource, avro_type
from pushcast.wire.times import to_ms

DEFAULT_CLASS = "default"
MAX_COLLAPSE_ID_BYTES = 64  # apns-collapse-id, reference/providers.md §1.2
# No provider takes more than 5 KiB (providers.md §1.2, §2.2); the rest is room for locales and keeps batches in bounds.
MAX_CONTENT_BYTES = 65_536
NO_OPTIONS = Options()


class _Raw(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    user: str | None = None
    app: str | None = None
    klass: str | None = msgspec.field(default=None, name="class")
    title: str | None = None
    body: str | None = None
    data: dict[str, str] | None = None
    locales: dict[str, LocalText] | None = None
    options: Options | None = None
    created_at: int | str | None = None
    expires_at: int | str | None = None
    trace: str | None = None


class ClassRule(NamedTuple):
    """What decoding needs of a configured class."""

    ttl_ms: int


class NotificationDecoder:
    """Decodes notification records for one set of apps and classes.

    `apps`: known app names; an event that names another is invalid (unknown_app).
    `classes`: class name to its time to live; must hold `default`.
    """

    def __init__(
        self, apps: Collection[str], classes: Mapping[str, ClassRule], schemas: SchemaSource | None = None
    ) -> None:
        self._apps = frozenset(apps)
        self._classes = dict(classes)
        self._schemas = schemas
        self._json = msgspec.json.Decoder(_Raw).decode
        self._avro = avro_type("notification")
        self._pack = msgspec.msgpack.Encoder(order="deterministic").encode

    def decode(self, user: str, value: bytes | None, timestamp_ms: int, trace: bytes | None = None) -> Notification:
        """`user` is the record key's; `timestamp_ms` the record's. Raises InvalidInput with the reason."""
        if value is None:
            raise InvalidInput(Reason.TOMBSTONE, "a null value on an event topic means nothing")
        head = value[:1]
        if head == b"{" or head in b" \t\r\n":
            try:
                raw = self._json(value)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise from_msgspec(error) from error
        else:
            raw = self._from_avro(self._avro.decode(value, self._schemas))
        return self._validate(raw, user, timestamp_ms, trace)

    def _from_avro(self, datum: dict[str, Any]) -> _Raw:
        try:
            return msgspec.convert(datum, _Raw)
        except msgspec.ValidationError as error:
            raise from_msgspec(error) from error

    def _validate(self, raw: _Raw, user: str, timestamp_ms: int, trace: bytes | None) -> Notification:
        check_id(raw.id, "id")
        if raw.user is not None and raw.user != user:
            raise InvalidInput(Reason.INVALID_FIELD, "user differs from the record key", "user")
        if raw.app is not None and raw.app not in self._apps:
            raise InvalidInput(Reason.UNKNOWN_APP, f"app {raw.app[:64]!r} is not configured", "app")
        klass = raw.klass or DEFAULT_CLASS
        rule = self._classes.get(klass)
        if rule is None:
            raise InvalidInput(Reason.UNKNOWN_CLASS, f"class {klass[:64]!r} is not configured", "class")
        if not (raw.title or raw.body or raw.data):
            raise InvalidInput(Reason.INVALID_FIELD, "one of title, body, data is required", "title")
        options = raw.options
        if options is None:
            options = NO_OPTIONS
        elif options.collapse_id is not None and len(options.collapse_id.encode()) > MAX_COLLAPSE_ID_BYTES:
            raise InvalidInput(
                Reason.INVALID_FIELD,
                f"options.collapse_id has more than {MAX_COLLAPSE_ID_BYTES} bytes",
                "options.collapse_id",
            )
        created_at = to_ms(raw.created_at, "created_at", timestamp_ms)
        expires_at = to_ms(raw.expires_at, "expires_at", created_at + rule.ttl_ms)
        if expires_at < created_at:
            raise InvalidInput(Reason.INVALID_FIELD, "expires_at is before created_at", "expires_at")
        data, locales = raw.data or None, raw.locales or None
        content = Content(raw.title, raw.body, data or {}, locales or {})
        key = self._pack((klass, raw.title, raw.body, data, locales, None if options == NO_OPTIONS else options))
        if len(key) > MAX_CONTENT_BYTES:
            raise InvalidInput(
                Reason.TOO_LARGE, f"the content has {len(key)} bytes; at most {MAX_CONTENT_BYTES}", "body"
            )
        text = raw.trace
        if text is None and trace is not None:
            text = trace.decode("ascii", "ignore")[:64]
        return Notification(raw.id, user, raw.app, klass, content, options, key, created_at, expires_at, text)
