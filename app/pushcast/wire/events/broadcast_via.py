"""`via` of a broadcast: what its provider fans out itself. Every refusal names field and limit."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Mapping
from typing import Any, Final, Literal

from pushcast.model.audience import topics_of
from pushcast.model.broadcast import Via
from pushcast.model.device import AddressKind
from pushcast.model.fcm_topics import is_fcm_topic
from pushcast.model.notification import Options
from pushcast.model.words import Platform
from pushcast.wire.events.audiences import parse_audience
from pushcast.wire.events.broadcast_parts import refuse

ViaWord = Literal["devices", "fcm_topic", "apns_channel"]
MAX_FCM_TOPICS: Final = 5
#: Apple states no limit of a channel's id; a record key and a receipt have one.
MAX_CHANNEL_BYTES: Final = 256


def via_of(word: ViaWord, audience: Mapping[str, Any], given: Collection[str], options: Options) -> Via | None:
    """What a request names; None: each device is sent to. `given`: fields of the event that need the devices.

    Raises InvalidInput (invalid_field).
    """
    if word == "devices":
        return None
    for field in given:
        refuse(field, f"does not go with via: {word}, which reaches no device that Pushcast knows")
    return _fcm_topic(audience) if word == "fcm_topic" else _apns_channel(audience, options)


def _fcm_topic(audience: Mapping[str, Any]) -> Via:
    """FCM's target of an audience of one topic, or of a condition."""
    if "condition" in audience:
        node, field, kind, address = parse_audience(audience), "audience.condition", AddressKind.CONDITION, ""
        address = str(audience["condition"])
        if len(topics_of(node)) > MAX_FCM_TOPICS:
            refuse(field, f"has {len(topics_of(node))} topics; FCM takes {MAX_FCM_TOPICS}")
        if not address.isprintable() or not address.isascii() or set(address) & set('"\\'):
            refuse(field, "takes printable ASCII and topics in single quotes for FCM")
    else:
        node, field, kind = parse_audience(audience), "audience.topics", AddressKind.TOPIC
        if "topics" not in audience or len(audience["topics"]) != 1:
            refuse("audience", "must be one topic, or a condition, for via: fcm_topic")
        address = audience["topics"][0]
    for name in topics_of(node):
        if not is_fcm_topic(name):
            refuse(field, f"has {name!r}; FCM takes 1 to 900 letters, digits and -_.~%")
    return Via(Platform.FCM, kind, address)


def _apns_channel(audience: Mapping[str, Any], options: Options) -> Via:
    """An audience of one channel: `{"channel": id}`, with `"stores_newest": true` as the channel was made with it.

    Apple refuses an expiry at a channel that stores nothing, and only the producer knows which kind it is.
    """
    if "channel" not in audience or not set(audience) <= {"channel", "stores_newest"}:
        refuse("audience", 'must be {"channel": id}, with or without stores_newest, for via: apns_channel')
    channel, stores = audience["channel"], audience.get("stores_newest", False)
    if not isinstance(channel, str) or not 1 <= len(channel) <= MAX_CHANNEL_BYTES or not _is_base64(channel):
        refuse("audience.channel", f"takes a channel id of APNs: base64, at most {MAX_CHANNEL_BYTES} bytes")
    if not isinstance(stores, bool):
        refuse("audience.stores_newest", "is true or false")
    activity = options.live_activity
    if options.push_type != "liveactivity" or activity is None:
        refuse("options.push_type", "must be liveactivity: APNs' channels take nothing else")
    if activity.event == "start":
        refuse("options.live_activity.event", "takes update or end: nobody listens to a channel before the start")
    return Via(Platform.APNS, AddressKind.STORING_CHANNEL if stores else AddressKind.CHANNEL, channel)


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True
