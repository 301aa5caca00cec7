"""A notification event as producers write it, and the part of it that batches share."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec

from pushcast.model.locales import lookup
from pushcast.model.quiet import QuietTerms
from pushcast.model.sealing import Sealing
from pushcast.model.timing import Timing

#: Apple and Google keep a badge in 32 bits, and so does the Avro schema.
MAX_BADGE: Final = 2**31 - 1
Badge = Annotated[int, msgspec.Meta(ge=0, le=MAX_BADGE)]
#: A badge that counts up: the keeper knows the number.
ONE_MORE: Final = "+1"
Priority = Literal["high", "normal"]
PushType = Literal[
    "alert",
    "background",
    "voip",
    "complication",
    "fileprovider",
    "location",
    "liveactivity",
    "pushtotalk",
    "widgets",
    "controls",
]
InterruptionLevel = Literal["passive", "active", "time-sensitive", "critical"]
LiveActivityEvent = Literal["start", "update", "end"]

# What every event has (Options, Content, Notification) is not looked at by the garbage collector (`gc=False`): a value
# that cannot change and comes from JSON or Avro is in no cycle. Collecting took a tenth of what PLAN pays for a chat.


class LiveActivity(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a push of type liveactivity does (Apple, "Starting and updating Live Activities with push notifications").

    As producers write it, times may be RFC 3339 and the objects JSON; in a decoded notification times are milliseconds
    since the epoch and objects are text (`wire.events.live_activities`).
    """

    event: LiveActivityEvent
    content_state: dict[str, Any] | str | None = None
    timestamp: int | str | None = None  # None: the notification's created_at
    stale_at: int | str | None = None
    dismissal_at: int | str | None = None
    relevance_score: float | None = None
    attributes_type: str | None = None
    attributes: dict[str, Any] | str | None = None
    input_push_token: bool = False
    input_push_channel: str | None = None


class Sound(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A sound with what Apple's critical alerts add to its name."""

    name: str = "default"
    critical: bool = False  # heard though the device is muted; the app needs Apple's entitlement
    volume: float | None = None  # 0 to 1, of critical alerts


class Action(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A button below the notification."""

    id: str
    title: str
    link: str | None = None


class Options(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True, omit_defaults=True):
    """How to send. Part of the batch key: notifications with other options never share a message."""

    collapse_id: str | None = None  # <= 64 bytes, APNs' limit
    thread_id: str | None = None
    sound: str | Sound | None = None
    badge: Badge | Literal["+1"] | None = None  # of what is sent always a number
    priority: Priority = "high"
    push_type: PushType = "alert"
    dry_run: bool = False
    at_most_once: bool = False
    live_activity: LiveActivity | None = None
    interruption_level: InterruptionLevel | None = None
    relevance_score: float | None = None  # 0 to 1
    mutable_content: bool = False
    channel_id: str | None = None
    analytics_label: str | None = None
    ttl_seconds: int | None = None  # as producers write it; a decoded notification has it in its expires_at
    override: tuple[str, ...] = ()  # as producers write it; a decoded notification has it beside its options

    @property
    def sound_name(self) -> str | None:
        """What to play, without what only Apple knows."""
        return self.sound.name if isinstance(self.sound, Sound) else self.sound

    @property
    def number(self) -> int | None:
        """What the icon is to show; of one that counts up only the keeper knows it."""
        return self.badge if isinstance(self.badge, int) else None

    @property
    def heard(self) -> bool:
        """A badge or a sound: enough for an alert on Apple devices."""
        return bool(self.sound) or self.badge is not None


class LocalText(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Text for one locale; an absent or empty part falls back to the notification's own."""

    title: str | None = None
    body: str | None = None
    subtitle: str | None = None
    image: str | None = None
    actions: dict[str, str] = {}  # titles by action id


class Content(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True, omit_defaults=True):
    """What a device shows. Equal contents of one window travel as one message with many targets."""

    title: str | None = None
    body: str | None = None
    data: dict[str, Any] = {}  # JSON values
    locales: dict[str, LocalText] = {}
    subtitle: str | None = None
    image: str | None = None
    link: str | None = None
    category: str | None = None
    actions: tuple[Action, ...] = ()
    platforms: dict[str, dict[str, Any]] = {}  # by platform: merged into its message (`model.overrides`)
    tracked: bool = False  # the app is told the notification's id, to say what becomes of it: `engagement` of the class

    @property
    def shown(self) -> bool:
        """Whether there is a text to show."""
        return bool(self.title or self.subtitle or self.body)

    def variant(self, locale: str | None) -> str | None:
        """Which of `locales` a device of this locale gets (`model.locales`); None: the notification's own texts."""
        if locale is None or not self.locales:
            return None
        return lookup(tuple(self.locales), locale)

    def of_variant(self, variant: str | None) -> Content:
        """With the texts of one variant and no others; None: the notification's own."""
        chosen = LocalText() if variant is None else self.locales[variant]
        return Content(
            chosen.title or self.title,
            chosen.body or self.body,
            self.data,
            {},
            chosen.subtitle or self.subtitle,
            chosen.image or self.image,
            self.link,
            self.category,
            tuple([Action(each.id, chosen.actions.get(each.id) or each.title, each.link) for each in self.actions]),
            self.platforms,
            self.tracked,
        )


class OfBroadcast(msgspec.Struct, frozen=True):
    """What of a broadcast a notification stands for, when the keeper held it. `variant` None: of no split.
    `deliveries`: ids of those that waited; `place`: which of the records it was that are held of the broadcast."""

    variant: str | None
    deliveries: frozenset[bytes]
    place: str


class Notification(msgspec.Struct, frozen=True, gc=False):
    """A valid notification for one user, with every default filled in. Times are milliseconds since the epoch."""

    id: str
    user: str
    app: str | None  # None: all apps of the user
    klass: str
    content: Content
    options: Options
    content_key: bytes  # equal exactly when content and options are equal
    created_at: int
    expires_at: int
    trace: str | None = None  # W3C traceparent
    due_at: int = 0  # not before; created_at when nothing delays it. Of a local time: of the zone that comes first
    timing: Timing | None = None  # None: nothing delays it
    campaign: str | None = None
    digest_key: str | None = None  # what it shares with others of its digest
    ttl_ms: int = 0  # of a local time without an expiry of its own: how long it lives from when it is due
    override: tuple[str, ...] = ()  # gates that it passes (`gates.Override`); its class allows it
    quiet: QuietTerms | None = None  # of the devices that it is planned for; None: they have none that count
    sealing: Sealing | None = None  # its content is for the devices alone
    revision: int | None = None  # a later one replaces an earlier one that waits; None: it replaces none
    was_seen: bool = False  # an event with its id was read before
    has_number: bool = False  # its badge is the keeper's, who wants to know what becomes of it
    replay_of: str | None = None  # the notification that it repeats on purpose
    broadcast: OfBroadcast | None = None  # it is a part of the broadcast of its id; None: it is no broadcast's

    @property
    def delivery_prefix(self) -> bytes:
        """What stands before a row's key in the text of which a delivery id is the hash: `ids.delivery_id`, or
        `ids.broadcast_delivery_id`."""
        return self.id.encode() + b"\0" if self.broadcast is None else b"\0" + self.id.encode() + b"\0"

    def is_over(self, now_ms: int, now_or_never_ms: int) -> bool:
        """Whether it is too late to send it. One that expires as it was created is now or never: it may leave until
        `now_or_never_ms` after that. One whose time was over before it was created, or is to be dropped, may not."""
        if self.expires_at > now_ms:
            return False
        if self.expires_at != self.created_at or self.created_at + now_or_never_ms <= now_ms:
            return True
        return self.timing is not None and self.timing.due(self.created_at) is None
