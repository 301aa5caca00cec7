"""Who has the reports of which partition: records `report/<partition>` of `push.where.v1`. Pure."""

from __future__ import annotations

import math
from typing import Annotated, Final

import msgspec

PREFIX: Final = b"report/"


class Reporter(msgspec.Struct, frozen=True):
    """Where the reports of a partition are asked for. `at`: when it said so, milliseconds since the epoch."""

    url: Annotated[str, msgspec.Meta(pattern=r"^https?://[^\s]{1,500}$")]
    at: int


_DECODER: Final = msgspec.json.Decoder(Reporter)


def key_of(partition: int) -> bytes:
    """The record key."""
    return PREFIX + str(partition).encode()


def encode(reporter: Reporter) -> bytes:
    """The record value."""
    return msgspec.json.encode(reporter)


class Reporters:
    """The last word on each partition. Records of other kinds, and malformed ones, change nothing."""

    def __init__(self) -> None:
        self.live = False
        self.current_at = math.inf
        self.ignored = 0
        self.by_partition: dict[int, Reporter] = {}

    def apply(self, key: bytes | None, value: bytes | None) -> None:
        """Takes the next record."""
        if key is None or not key.startswith(PREFIX):
            return
        try:
            partition = int(key[len(PREFIX) :])
            if value is None:
                self.by_partition.pop(partition, None)
            else:
                self.by_partition[partition] = _DECODER.decode(value)
        except (ValueError, msgspec.MsgspecError):
            self.ignored += 1

    def urls(self) -> dict[int, str]:
        """Address by partition."""
        return {partition: found.url for partition, found in self.by_partition.items()}
