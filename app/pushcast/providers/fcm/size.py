"""What FCM counts of a message: keys and values, as each kind of device behind it gets them.

An `android` or `webpush` block adds to the notification and has its `data` instead of the common one; an `apns` payload
is what APNs takes as a whole. "The maximum payload is 4096 bytes": Firebase, "About FCM messages".
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from pushcast.model.batch import KINDS, Message
from pushcast.model.device import AddressKind
from pushcast.providers.extras import OWN_KEY, json_text, own_object, too_large
from pushcast.providers.identity import NAME, NAME_CHARS, quoted

MAX_PAYLOAD_BYTES: Final = 4096
MAX_TOPIC_PAYLOAD_BYTES: Final = 2048  # the same page
_OF_MANY: Final = frozenset((KINDS.index(AddressKind.TOPIC), KINDS.index(AddressKind.CONDITION)))


def limit_of(message: Message) -> int:
    """A message to a topic has no other targets."""
    kinds = message.targets.kind
    return MAX_TOPIC_PAYLOAD_BYTES if kinds and kinds[0] in _OF_MANY else MAX_PAYLOAD_BYTES


def check_size(fields: dict[str, Any], message: Message) -> None:
    """Raises Unsendable (payload_too_large) that names the part that is too large."""
    notification, data = _object(fields, "notification"), _object(fields, "data")
    if OWN_KEY in data:
        longest = max(message.notification_ids, key=lambda each: len(quoted(each)))
        data = {**data, OWN_KEY: json_text({**own_object(message), "id": longest})}
    sizes = {"FCM notification and data": _counted(notification) + _counted(data)}
    for name in ("android", "webpush"):
        block = _object(fields, name)
        sizes[f"FCM notification and data with {name}'s own"] = _counted(
            notification | _object(block, "notification")
        ) + _counted(_object(block, "data") or data)
    sizes["FCM apns.payload"] = len(orjson.dumps(_object(_object(fields, "apns"), "payload")))
    limit = limit_of(message)
    for what, size in sizes.items():
        if size > limit:
            raise too_large(what, size, limit)


def _object(parent: dict[str, Any], name: str) -> dict[str, Any]:
    """A member that a producer's own part may have made anything else."""
    value = parent.get(name)
    return value if isinstance(value, dict) else {}


def _counted(part: dict[str, Any]) -> int:
    return sum(len(key.encode()) + _length(value) for key, value in part.items())


def _length(value: Any) -> int:
    return NAME_CHARS if value is NAME else len(json_text(value).encode())
