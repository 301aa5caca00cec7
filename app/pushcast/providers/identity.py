"""What a device knows a notification by when its producer gave no collapse id.

A notification that comes again (a retry, a redrive, a copy) replaces itself on the screen; two notifications never
replace each other, whether their texts are equal or not. So the name is made of the notification, user, app and device:
it is the delivery id, which SEND has at hand. A broadcast has one name for all its devices: a phone whose token moved
to another user while it was walked shows it once.
"""

from __future__ import annotations

from binascii import hexlify
from collections.abc import Sequence
from typing import Final, Literal

import orjson

from pushcast.model.batch import Message
from pushcast.model.ids import DELIVERY_ID_BYTES, broadcast_name

#: `content`: equal texts replace each other, as in releases before this one.
CollapseBy = Literal["notification", "content"]

#: Where the name goes in a rendered JSON text: a byte that no JSON text holds. `name.join(text.split(HOLE))` fills it.
HOLE: Final = b"\0"
NAME_CHARS: Final = 2 * DELIVERY_ID_BYTES
NAME: Final = orjson.Fragment(b'"\0"')
#: Where the producer's id of the notification goes, in a text that notifications share.
ID_HOLE: Final = b"\3"
_ID: Final = orjson.Fragment(b'"\3"')


def automatic_names(message: Message, indices: Sequence[int], by: CollapseBy) -> list[bytes]:
    """One for each of the targets: 32 hexadecimal digits, which fit every provider's field for it."""
    if by == "content":
        wordings, notification = message.wordings, message.targets.notification
        if wordings is not None:
            return [hexlify(wordings[notification[index]].content_hash) for index in indices]
        return [hexlify(message.content_hash)] * len(indices)
    broadcasts = message.notes.broadcast
    if broadcasts is not None and broadcasts[0] is not None:  # a message of a broadcast has no other notification
        return [hexlify(broadcast_name(broadcasts[0]))] * len(indices)
    delivery_ids = message.targets.delivery_id
    return list(map(hexlify, map(delivery_ids.__getitem__, indices)))


def notification_id(message: Message) -> str | orjson.Fragment:
    """What stands in a rendered text for the producer's id: itself where all targets share it, else a hole."""
    ids = message.notification_ids
    return ids[0] if len(ids) == 1 else _ID


def with_ids(text: bytes, message: Message, indices: Sequence[int]) -> list[bytes]:
    """The text for each of the targets, with the ids of their notifications. Those that share it get one object."""
    if len(message.notification_ids) == 1 or ID_HOLE not in text:
        return [text] * len(indices)
    texts, notifications = _Texts(text, message.notification_ids), message.targets.notification
    return [texts[notifications[index]] for index in indices]


def filled(text: bytes, message: Message, indices: Sequence[int], by: CollapseBy) -> list[bytes]:
    """The text for each of the targets, without any holes."""
    if HOLE not in text:
        return with_ids(text, message, indices)
    names = automatic_names(message, indices, by)
    if len(message.notification_ids) == 1 or ID_HOLE not in text:
        parts = text.split(HOLE)
        return [name.join(parts) for name in names]
    texts = with_ids(text, message, indices)
    return [own.replace(HOLE, name) for own, name in zip(texts, names, strict=True)]


def filled_size(text: bytes, message: Message) -> int:
    """Bytes of a rendered text once its holes are filled, with the longest of the message's ids."""
    return size_with_ids(text, message) + text.count(HOLE) * (NAME_CHARS - len(HOLE))


def size_with_ids(text: bytes, message: Message) -> int:
    """Bytes of a rendered text that has holes for ids alone, with the longest of them."""
    ids = message.notification_ids
    if len(ids) == 1 or ID_HOLE not in text:
        return len(text)
    return len(text) + text.count(ID_HOLE) * (max(map(len, map(quoted, ids))) - len(ID_HOLE))


class _Texts(dict[int, bytes]):
    """Filled once for each notification, however many targets it has."""

    def __init__(self, text: bytes, ids: Sequence[str]) -> None:
        self._parts = text.split(ID_HOLE)
        self._ids = ids

    def __missing__(self, index: int) -> bytes:
        text = self[index] = quoted(self._ids[index]).join(self._parts)
        return text


def quoted(text: str) -> bytes:
    """As it stands between the quotes of JSON."""
    return orjson.dumps(text)[1:-1]
