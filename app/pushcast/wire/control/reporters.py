"""Who has the reports of which partition: records of `push.where.v1`. Pure."""

from __future__ import annotations

import math
from typing import Annotated, Final

import msgspec

from pushcast.wire.json_errors import UNREADABLE

PREFIX: Final = b"report/"
#: Of a standby: its reports are those of the owner, and it is asked when the owner is silent.
STANDBY_PREFIX: Final = b"report-standby/"


class Reporter(msgspec.Struct, frozen=True):
    """Where the reports of a partition are asked for, `report/<partition>` or `report-standby/<partition>`. `at`: when
    it said so, milliseconds since the epoch."""

    url: Annotated[str, msgspec.Meta(pattern=r"^https?://[^\s]{1,500}$")]
    at: int


_DECODER: Final = msgspec.json.Decoder(Reporter)


def key_of(partition: int, standby: bool = False) -> bytes:
    """The record key."""
    return (STANDBY_PREFIX if standby else PREFIX) + str(partition).encode()


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
        self.standby_by_partition: dict[int, Reporter] = {}

    def apply(self, key: bytes | None, value: bytes | None) -> None:
        """Takes the next record."""
        for prefix, known in ((PREFIX, self.by_partition), (STANDBY_PREFIX, self.standby_by_partition)):
            if key is not None and key.startswith(prefix):
                try:
                    partition = int(key[len(prefix) :])
                    if value is None:
                        known.pop(partition, None)
                    else:
                        known[partition] = _DECODER.decode(value)
                except (ValueError, *UNREADABLE):
                    self.ignored += 1

    def urls(self) -> dict[int, str]:
        """Address by partition."""
        return {partition: found.url for partition, found in self.by_partition.items()}

    def standbys(self) -> dict[int, str]:
        """Address of the standby by partition."""
        return {partition: found.url for partition, found in self.standby_by_partition.items()}
