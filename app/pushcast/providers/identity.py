"""What a device knows a notification by when its producer gave no collapse id.

A notification that comes again (a retry, a redrive, a copy) replaces itself on the screen; two notifications never
replace each other, whether their texts are equal or not. So the name is made of the notification, user, app and device:
it is the delivery id, which SEND has at hand.
"""

from __future__ import annotations

from binascii import hexlify
from collections.abc import Sequence
from typing import Final, Literal

import orjson

from pushcast.model.batch import Message
from pushcast.model.ids import DELIVERY_ID_BYTES

#: `content`: equal texts replace each other, as in releases before this one.
CollapseBy = Literal["notification", "content"]

#: Where the name goes in a rendered JSON text: a byte that no JSON text holds. `name.join(text.split(HOLE))` fills it.
HOLE: Final = b"\0"
NAME_CHARS: Final = 2 * DELIVERY_ID_BYTES
NAME: Final = orjson.Fragment(b'"\0"')


def automatic_names(message: Message, indices: Sequence[int], by: CollapseBy) -> list[bytes]:
    """One for each of the targets: 32 hexadecimal digits, which fit every provider's field for it."""
    if by == "content":
        return [hexlify(message.content_hash)] * len(indices)
    delivery_ids = message.targets.delivery_id
    return [hexlify(delivery_ids[index]) for index in indices]


def filled_size(text: bytes) -> int:
    """Bytes of a rendered text once its holes are filled."""
    return len(text) + text.count(HOLE) * (NAME_CHARS - len(HOLE))
