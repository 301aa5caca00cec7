"""What a stage keeps in the commit metadata of a source partition."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

import msgspec

from pushcast.stream.batch import METADATA_MAX_BYTES
from pushcast.stream.errors import KafkaLayerError
from pushcast.wire.json_errors import UNREADABLE

_VERSION = 1


class UnreadableMetadata(KafkaLayerError):
    """Commit metadata that this release did not write: going on could plan or send twice, so the process ends."""


def next_epoch(known: int, now_seconds: int) -> int:
    """The epoch of a new claim. `known`: the highest that is known of this origin.

    Seconds as a floor: a claim outranks its predecessors when their metadata is lost, too.
    """
    return max(known + 1, now_seconds)


#: Output topics that Kafka would not take when this was written, each with the source offset below which something may
#: have been sent whose outcome could not be written.
Refused = Mapping[str, int]
NOT_REFUSED: Final[Refused] = MappingProxyType({})


class Standing(NamedTuple):
    """Where a source partition stands besides its offset."""

    epoch: int = 0  # of the last claim; 0: never claimed
    fenced: int = 0  # epoch below which records of this partition's origin at `positions` are void
    positions: Mapping[str, int] = {}  # output topic -> next offset to be read by a new owner
    origins: Mapping[str, int] = {}  # as a reader: origin -> highest epoch fenced below the committed offset
    refused: Refused = NOT_REFUSED
    marks: Mapping[str, int] = {}  # how far the stage has come in logs that its source stands for


class _Stored(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    v: int
    e: int = 0
    f: int = 0
    p: dict[str, int] = {}
    o: dict[str, int] = {}
    x: dict[str, int] = {}
    m: dict[str, int] = {}


_decoder = msgspec.json.Decoder(_Stored)


def encode(standing: Standing) -> str:
    """Compact JSON. Raises ValueError above the 4096 bytes that Kafka takes."""
    positions, origins = dict(standing.positions), dict(standing.origins)
    refused, marks = dict(standing.refused), dict(standing.marks)
    stored = _Stored(_VERSION, standing.epoch, standing.fenced, positions, origins, refused, marks)
    text = msgspec.json.encode(stored)
    if len(text) > METADATA_MAX_BYTES:
        raise ValueError(f"commit metadata of {len(text)} bytes; Kafka takes {METADATA_MAX_BYTES}")
    return text.decode()


def decode(metadata: str) -> Standing:
    """An empty text is a partition that was never claimed, or whose offset an operator has set.

    Raises UnreadableMetadata for anything that `encode` does not write.
    """
    if not metadata:
        return Standing()
    try:
        stored = _decoder.decode(metadata)
    except UNREADABLE as error:
        raise UnreadableMetadata(f"commit metadata is not ours: {error}") from None
    if stored.v != _VERSION:
        raise UnreadableMetadata(f"commit metadata of version {stored.v}; this release reads version {_VERSION}")
    return Standing(stored.e, stored.f, stored.p, stored.o, stored.x, stored.m)
