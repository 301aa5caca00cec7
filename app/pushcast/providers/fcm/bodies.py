"""What each target of an FCM message gets: the rendered text with its holes filled, and the address at its end."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from pushcast.model.batch import Message
from pushcast.providers.expiry import epoch_seconds, expiries, expiry_of, ttl_seconds
from pushcast.providers.identity import HOLE, ID_HOLE, CollapseBy, automatic_names, quoted

TTL_HOLE: Final = b"\1"
EXPIRATION_HOLE: Final = b"\2"
#: By index into model.batch.KINDS.
TARGET_PREFIX: Final = {0: b',"token":"', 1: b',"fid":"', 3: b',"topic":"', 4: b',"condition":"'}
_END: Final = b'"}}'


def bodies(
    message: Message, head: bytes, rest: bytes, indices: Sequence[int], now_ms: int, collapse_by: CollapseBy
) -> list[bytes]:
    """A whole body per target, so that messages of any content share a template.

    Every target's kind of address is one of TARGET_PREFIX, and its address needs no escape in JSON.
    """
    targets = message.targets
    addresses, kinds = targets.address, targets.kind
    one = len(indices) == 1  # of many contents in a message: what all targets say is not asked for each
    expires_at = {indices[0]: expiry_of(message, indices[0])} if one else expiries(message)
    has_ids = len(message.notification_ids) > 1 and ID_HOLE in rest
    made, join = [], b"".join
    last: tuple[int, int] | None = None
    parts: tuple[bytes, ...] = ()
    for index, name in zip(indices, automatic_names(message, indices, collapse_by), strict=True):
        key = (kinds[index], expires_at[index])
        if key != last:
            last = key
            parts = _parts(rest, ttl_seconds(key[1], now_ms), epoch_seconds(key[1]), key[0])
        body = name.join(parts)
        if has_ids:  # our object is JSON within a text
            notification_id = message.notification_ids[targets.notification[index]]
            body = body.replace(ID_HOLE, quoted(quoted(notification_id).decode()))
        made.append(join((head, body, addresses[index], _END)))
    return made


@lru_cache(maxsize=1024)
def _parts(rest: bytes, ttl: int, expiration: int, kind: int) -> tuple[bytes, ...]:
    """Between these stands each delivery's own name. Chats differ in their texts alone: thousands of them share all of
    this within a second."""
    text = rest.replace(TTL_HOLE, b"%d" % ttl).replace(EXPIRATION_HOLE, b"%d" % expiration)
    return tuple((text + TARGET_PREFIX[kind]).split(HOLE))
