"""The closed vocabularies of the product: the same word in topics, records, metrics, command line and docs."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class Platform(StrEnum):
    """Where a device's pushes go."""

    APNS = "apns"
    FCM = "fcm"
    EXPO = "expo"
    WEBPUSH = "webpush"


class Lane(StrEnum):
    """Urgency class with topics and consumer groups of its own, because a Kafka consumer has no priorities."""

    URGENT = "urgent"
    NORMAL = "normal"
    BULK = "bulk"


class Source(IntEnum):
    """Which kind of topic an account's record lies in. The numbers are those of the schemas."""

    NOTIFICATION = 0
    WALK = 1  # an order to walk over a partition's devices
    DUE = 2  # what the keeper released
    KEEP = 3  # what the keeper ended itself


class Outcome(StrEnum):
    """Terminal outcomes: every delivery ends in exactly one."""

    ACCEPTED = "accepted"  # the provider took it
    INVALID = "invalid"  # the provider said that this token is no more
    REJECTED = "rejected"  # this content or configuration will never be taken
    EXPIRED = "expired"  # past expires_at before it could be sent
    SUPPRESSED = "suppressed"  # decided not to send: no devices, preference, cap
    CANCELLED = "cancelled"
    DEAD = "dead"  # every attempt failed


class Reason(StrEnum):
    """Why an outcome or a dead letter is what it is. Provider verdict tables add words of their own (snake_case)."""

    # intake: why a record is a dead letter
    KEY_MISSING = "key_missing"
    KEY_NOT_UTF8 = "key_not_utf8"
    KEY_INVALID = "key_invalid"
    TOMBSTONE = "tombstone"
    NOT_JSON = "not_json"
    UNKNOWN_FRAME = "unknown_frame"
    UNKNOWN_SCHEMA = "unknown_schema"
    UNDECODABLE = "undecodable"
    UNKNOWN_FIELD = "unknown_field"
    INVALID_FIELD = "invalid_field"
    RESERVED_DATA_KEY = "reserved_data_key"
    UNKNOWN_APP = "unknown_app"
    UNKNOWN_CLASS = "unknown_class"
    WRONG_PARTITION = "wrong_partition"
    TOO_LARGE = "too_large"
    UNKNOWN_SEGMENT = "unknown_segment"
    TOO_MANY = "too_many"
    TOO_FAR_AHEAD = "too_far_ahead"
    # planning: why nothing was planned
    EXPIRED = "expired"
    NO_DEVICES = "no_devices"
    NOTHING_TO_SHOW = "nothing_to_show"
    CANCELLED = "cancelled"
    SCHEDULED = "scheduled"
    SPREAD = "spread"
    REVISION = "revision"  # only the keeper knows what it replaces
    SUPERSEDED = "superseded"  # by a later revision
    DIGESTED = "digested"  # it left as part of a digest
    DUPLICATE = "duplicate"
    ID_REUSED = "id_reused"  # a duplicate with another content
    BROADCAST_STOPPED = "broadcast_stopped"
    BROADCAST_HELD = "broadcast_held"
    # waiting: why a delivery is not sent when its time has come
    TOKEN_MOVED = "token_moved"  # noqa: S105 - a reason, not a secret
    DEVICE_GONE = "device_gone"
    STOP_IF = "stop_if"  # receipts of a step were as `stop_if` of the broadcast says
    USER_FORGOTTEN = "user_forgotten"
    OPTED_OUT = "opted_out"
    MUTED = "muted"
    READ = "read"
    QUIET_HOURS = "quiet_hours"
    # why the keeper holds it, beside quiet hours
    UNLESS_READ = "unless_read"
    READ_GATE = "read_gate"
    DIGEST = "digest"
    FREQUENCY_CAP = "frequency_cap"
    PACE = "pace"
    BADGE = "badge"
    # sending
    DEVICE_UNREGISTERED = "device_unregistered"
    SEAL_BROKEN = "seal_broken"
    KEY_UNKNOWN = "key_unknown"
    NO_CONTENT_KEY = "no_content_key"
    CONTENT_KEY_INVALID = "content_key_invalid"
    ENDPOINT_UNREACHABLE = "endpoint_unreachable"
    TOKEN_MALFORMED = "token_malformed"  # noqa: S105 - a reason, not a secret
    PAYLOAD_TOO_LARGE = "payload_too_large"
    UNRENDERABLE = "unrenderable"
    BAD_REQUEST = "bad_request"
    CREDENTIAL_REFUSED = "credential_refused"
    PROVIDER_UNAVAILABLE = "provider_unavailable"
    PROVIDER_ERROR = "provider_error"
    RATE_LIMITED = "rate_limited"
    CONNECTION_FAILED = "connection_failed"
    NOT_CONFIGURED = "not_configured"
    UNKNOWN_OUTCOME = "unknown_outcome"
