"""The table of docs/providers.md that tells what a notification's fields become on each platform, and who says so."""

from __future__ import annotations

from typing import Final, NamedTuple

from pushcast.model.overrides import OWNED

_APPLE: Final = "https://developer.apple.com/documentation/"
_PAYLOAD: Final = f"{_APPLE}usernotifications/generating-a-remote-notification"
_HEADERS: Final = f"{_APPLE}usernotifications/sending-notification-requests-to-apns"
_RELEVANCE: Final = f"{_APPLE}usernotifications/unnotificationcontent/relevancescore"
_CRITICAL: Final = f"{_APPLE}usernotifications/unnotificationsound"
_EXTENSION: Final = f"{_APPLE}usernotifications/modifying-content-in-newly-delivered-notifications"
_ACTIVITY: Final = f"{_APPLE}activitykit/starting-and-updating-live-activities-with-activitykit-push-notifications"
_FCM: Final = "https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages#"
_EXPO: Final = "https://docs.expo.dev/push-notifications/sending-notifications/#message-request-format"
_WEB: Final = "https://developer.mozilla.org/docs/Web/API/ServiceWorkerRegistration/showNotification#"
_RFC: Final = "https://www.rfc-editor.org/rfc/rfc8030#section-5."


class Cell(NamedTuple):
    """What stands in a platform's message, and the page that tells of it."""

    text: str
    page: str


class Field(NamedTuple):
    """One field, and where it goes on each platform; None: it is left out there."""

    ours: str
    apns: Cell | None
    fcm: Cell | None
    expo: Cell | None
    web: Cell | None


FIELDS: Final = (
    Field(
        "`title`, `body`",
        Cell("`aps.alert.title`, `aps.alert.body`", _PAYLOAD),
        Cell("`notification.title`, `notification.body`", f"{_FCM}Notification"),
        Cell("`title`, `body`", _EXPO),
        Cell("`title`, `options.body`", f"{_WEB}body"),
    ),
    Field(
        "`subtitle`",
        Cell("`aps.alert.subtitle`", _PAYLOAD),
        Cell("`apns.payload`: `aps.alert.subtitle`; Android: left out", f"{_FCM}ApnsConfig"),
        Cell("`subtitle`", _EXPO),
        Cell("first line of `options.body`", f"{_WEB}body"),
    ),
    Field(
        "`image` (https, beside a text)",
        Cell("`pc.image`, `aps.mutable-content`", _EXTENSION),
        Cell("`notification.image`, `data.pc`", f"{_FCM}Notification"),
        Cell("`richContent.image`, `mutableContent`", _EXPO),
        Cell("`options.image`", f"{_WEB}image"),
    ),
    Field(
        "`link`",
        Cell("`pc.link`", _PAYLOAD),
        Cell("`data.pc`; https: `webpush.fcm_options.link`", f"{_FCM}WebpushFcmOptions"),
        Cell("`data.pc.link`", _EXPO),
        Cell("`options.data.pc.link`", f"{_WEB}data"),
    ),
    Field(
        "`category`",
        Cell("`aps.category`", _PAYLOAD),
        Cell("`android.notification.click_action`; `apns.payload`: `aps.category`", f"{_FCM}AndroidNotification"),
        Cell("`categoryId`", _EXPO),
        None,
    ),
    Field(
        "`actions`",
        Cell("`pc.actions`", _PAYLOAD),
        Cell("`data.pc`", f"{_FCM}Message"),
        Cell("`data.pc.actions`", _EXPO),
        Cell("`options.actions`, `options.data.pc.actions`", f"{_WEB}actions"),
    ),
    Field(
        "`data`",
        Cell("beside `aps`", _PAYLOAD),
        Cell("`data`, as texts: JSON of what is none", f"{_FCM}Message"),
        Cell("`data`", _EXPO),
        Cell("`options.data`", f"{_WEB}data"),
    ),
    Field(
        "`options.collapse_id`",
        Cell("`apns-collapse-id`", _HEADERS),
        Cell(
            "`android.collapse_key`, `android.notification.tag`; `apns.headers`: `apns-collapse-id`",
            f"{_FCM}AndroidConfig",
        ),
        Cell("`collapseId`, `tag`", _EXPO),
        Cell("`Topic`, `options.tag`", f"{_RFC}4"),
    ),
    Field(
        "without it: the delivery id",
        Cell("`apns-collapse-id`", _HEADERS),
        Cell("`android.notification.tag`; `apns.headers`: `apns-collapse-id`", f"{_FCM}AndroidNotification"),
        Cell("`tag`", _EXPO),
        Cell("`options.tag`", f"{_WEB}tag"),
    ),
    Field(
        "`options.thread_id`",
        Cell("`aps.thread-id`", _PAYLOAD),
        Cell("`apns.payload`: `aps.thread-id`", f"{_FCM}ApnsConfig"),
        Cell("`threadId`", _EXPO),
        None,
    ),
    Field(
        "`options.sound`",
        Cell("`aps.sound`, text or {critical, name, volume}", _CRITICAL),
        Cell("`android.notification.sound` (the name); `apns.payload`: `aps.sound`", f"{_FCM}AndroidNotification"),
        Cell("`sound`", _EXPO),
        None,
    ),
    Field(
        "`options.badge`",
        Cell("`aps.badge`", _PAYLOAD),
        Cell("`android.notification.notification_count`; `apns.payload`: `aps.badge`", f"{_FCM}AndroidNotification"),
        Cell("`badge`", _EXPO),
        Cell("`options.data.pc.badge`", f"{_WEB}data"),
    ),
    Field(
        "`options.priority`",
        Cell("`apns-priority`", _HEADERS),
        Cell(
            "`android.priority`; `apns.headers`: `apns-priority`; `webpush.headers`: `Urgency`",
            f"{_FCM}AndroidMessagePriority",
        ),
        Cell("`priority`", _EXPO),
        Cell("`Urgency`", f"{_RFC}3"),
    ),
    Field(
        "`options.interruption_level`",
        Cell("`aps.interruption-level`", _PAYLOAD),
        Cell("`apns.payload`: `aps.interruption-level`", f"{_FCM}ApnsConfig"),
        Cell("`interruptionLevel`", _EXPO),
        Cell("`passive`: `options.silent`", f"{_WEB}silent"),
    ),
    Field(
        "`options.relevance_score`",
        Cell("`aps.relevance-score`", _RELEVANCE),
        Cell("`apns.payload`: `aps.relevance-score`", f"{_FCM}ApnsConfig"),
        Cell("`relevanceScore`", _EXPO),
        None,
    ),
    Field(
        "`options.mutable_content`",
        Cell("`aps.mutable-content`", _EXTENSION),
        Cell("`apns.payload`: `aps.mutable-content`", f"{_FCM}ApnsConfig"),
        Cell("`mutableContent`", _EXPO),
        None,
    ),
    Field(
        "`options.channel_id`",
        None,
        Cell("`android.notification.channel_id`", f"{_FCM}AndroidNotification"),
        Cell("`channelId`", _EXPO),
        None,
    ),
    Field(
        "`options.analytics_label`",
        None,
        Cell("`fcm_options.analytics_label`", f"{_FCM}FcmOptions"),
        None,
        None,
    ),
    Field(
        "`options.ttl_seconds`",
        Cell("`apns-expiration`", _HEADERS),
        Cell("`android.ttl`; `apns.headers`: `apns-expiration`; `webpush.headers`: `TTL`", f"{_FCM}AndroidConfig"),
        Cell("`expiration`", _EXPO),
        Cell("`TTL`", f"{_RFC}2"),
    ),
    Field(
        "`options.push_type`",
        Cell("`apns-push-type`, suffix of `apns-topic`", _HEADERS),
        Cell(
            "background: `apns.headers`: `apns-push-type`; others than alert, background, voip: refused",
            f"{_FCM}ApnsConfig",
        ),
        Cell("background: `contentAvailable`; others than alert and background: refused", _EXPO),
        Cell("background: `Urgency` is `low`; others than alert and background: refused", f"{_RFC}3"),
    ),
    Field(
        "`options.live_activity`",
        Cell("`aps.event`, `aps.content-state` and its other fields", _ACTIVITY),
        Cell("refused", f"{_FCM}ApnsConfig"),
        Cell("refused", _EXPO),
        Cell("refused", f"{_WEB}parameters"),
    ),
)

_OWNED: Final = "; ".join(
    f"{platform}: {', '.join(f'`{key}`' for key in sorted(keys))}" for platform, keys in OWNED.items()
)
_HEAD: Final = """
## What a notification's fields become

What a platform cannot show is left out. Each cell links to the page that tells of what stands in it. Names of FCM are \
those of its discovery document (`simulators/fcm/v1.json`), by which the simulator refuses all others. Web Push has \
`title` and `options`, the arguments of `showNotification`; `Topic`, `Urgency` and `TTL` are headers.

| ours | APNs | FCM | Expo | Web Push |
|---|---|---|---|---|
"""
_TAIL: Final = f"""
`pc` is our object for apps and their extensions: {{id, image, link, actions}}, `id` being the notification's. It is \
there when there is an image, a link or an action, for every notification of a class with `engagement: true`, and on \
Web Push for a badge. `data` may not have a key `pc`.

`platforms.<p>` is merged into the platform's message at the end (RFC 7396: objects merge, arrays and scalars replace, \
null removes): for APNs the payload, for FCM `message`, for Expo the message, for Web Push the options with `title` \
beside them. The kind of push is decided afterwards. \
Refused (`invalid_field`, with the key; in lowerCamelCase, too) are {_OWNED}.
"""


def fields_chapter() -> str:
    """The chapter with its table."""
    return _HEAD + "".join(f"{_line(field)}\n" for field in FIELDS) + _TAIL


def _line(field: Field) -> str:
    cells = ["left out" if cell is None else f"{cell.text} [vendor]({cell.page})" for cell in field[1:]]
    return "| " + " | ".join((field.ours, *cells)) + " |"
