"""The fence of a compacted topic of rows: a record of its own schema, under a key that no row can have.

A fence has to survive compaction, so it has a key and a value. The key is UTF-8 and the value Avro, so that readers
which decode every record of the topic can read it; they leave out keys that start with NUL, because no user id does.
"""

from __future__ import annotations

from typing import Final

from pushcast.model.errors import InvalidInput
from pushcast.wire.schemas import avro_type

#: What is no row starts so. A row's key starts with a user id, which is not empty and holds no NUL.
NO_ROW: Final = b"\0"
#: The least key that a row may have.
FIRST_ROW: Final = b"\x01"
#: Every row's key is below it: it is in no UTF-8.
END_OF_ROWS: Final = b"\xff"
KEY: Final = NO_ROW + b"push-fence"
#: Where releases before 0.2 keep the epoch, in decimal digits. No UTF-8 has 0xff, so decoding readers fail on it. Read
#: and written beside the other for one release, so that registrars of both releases fence each other off.
OLD_KEY: Final = b"\xff\xffpushcast-fence"
KEYS: Final = frozenset({KEY, OLD_KEY})


def is_row(key: bytes) -> bool:
    """Whether a record under this key is a row. Neither a fence nor a mark of a copy is, of this release or before."""
    return FIRST_ROW <= key < END_OF_ROWS


def records(origin: str, epoch: int) -> dict[bytes, bytes]:
    """Key to value of the records that fence `origin` off below `epoch`."""
    return {KEY: avro_type("fence").encode({"origin": origin, "epoch": epoch}), OLD_KEY: b"%d" % epoch}


def epoch_of(key: bytes, value: bytes | None, origin: str) -> int | None:
    """Epoch of a fence under one of `KEYS`; None for what does not fence `origin`."""
    if value is None:
        return None
    if key == OLD_KEY:
        return int(value) if value.isdigit() else None
    try:
        fence = avro_type("fence").decode(value)
    except InvalidInput:
        return None
    epoch: int = fence["epoch"]
    return epoch if fence["origin"] == origin else None
