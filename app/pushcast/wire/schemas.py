"""The package's Avro schemas: parsed once, framed by fingerprint, frozen by the lock in `schemas/lock.json`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from io import BytesIO
from typing import Any, Final

from fastavro import parse_schema, schemaless_reader, schemaless_writer
from fastavro.schema import fingerprint, to_parsing_canonical_form

from pushcast.model.errors import InvalidInput
from pushcast.model.words import Reason
from pushcast.resources import data_dir

# https://avro.apache.org/docs/1.12.0/specification/#single-object-encoding
SINGLE_OBJECT_MARKER = b"\xc3\x01"
FRAME_BYTES = 10
# https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format
CONFLUENT_MARKER = b"\x00"
CONFLUENT_FRAME_BYTES = 5

NAMES = (
    *("notification", "device_change", "device_row", "send_batch", "planned", "receipt", "token_invalid"),
    *("ticket_batch", "fence", "leg", "user_row", "broadcast", "walk_order", "cancel", "timer", "engagement"),
    *("token_claim", "token_owner", "token_evict", "token_topics"),
    *("digest_head", "badge", "usage", "recall_offer", "recallable", "counted", "held_broadcast"),
)
#: `schemas.write`: 1 writes what the release before reads, 2 writes the newest schemas.
NEWEST_GENERATION: Final = 2
#: Versions that generation 1 writes. What they have no column for is written in the newest all the same: a reader of
#: the release before waits at such a record, and nothing of it is lost.
_FIRST_GENERATION: Final = {
    "device_row": 2,
    "planned": 1,
    "recall_offer": 1,
    "receipt": 1,
    "send_batch": 2,
    "ticket_batch": 1,
}


class UnknownRelease(InvalidInput):
    """A fingerprint that is not in this release. Nobody but Pushcast writes them: a later release has it."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.UNKNOWN_SCHEMA, message)


class AvroType:
    """One record schema. `encode` and `decode` speak plain Python numbers: times are integers in milliseconds."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.source: dict[str, Any] = json.loads(text)
        # Logical types would make fastavro build datetimes; the bytes are the same without them.
        self.parsed = parse_schema(without_logical_types(self.source))
        self.canonical_form = to_parsing_canonical_form(parse_schema(self.source))
        self.fingerprint = bytes.fromhex(fingerprint(self.canonical_form, "CRC-64-AVRO"))
        self.frame = SINGLE_OBJECT_MARKER + self.fingerprint

    def encode(self, datum: Mapping[str, Any]) -> bytes:
        """Single-object frame. Raises ValueError or TypeError when the datum does not fit the schema."""
        out = BytesIO()
        out.write(self.frame)
        schemaless_writer(out, self.parsed, datum)
        return out.getvalue()

    def decode(self, value: bytes, schemas: SchemaSource | None = None) -> dict[str, Any]:
        """Reads both frames, with the writer's schema resolved against this one.

        Raises InvalidInput with reason unknown_frame, unknown_schema or undecodable.
        """
        if value[:FRAME_BYTES] == self.frame:
            return self._read(value, FRAME_BYTES, None)
        if value[:2] == SINGLE_OBJECT_MARKER:
            writer = released().get(value[2:FRAME_BYTES])
            if writer is None or len(value) < FRAME_BYTES:
                raise UnknownRelease(f"schema fingerprint {value[2:FRAME_BYTES].hex()} is not in this release")
            return self._read(value, FRAME_BYTES, writer)
        if value[:1] == CONFLUENT_MARKER and len(value) >= CONFLUENT_FRAME_BYTES:
            schema_id = int.from_bytes(value[1:CONFLUENT_FRAME_BYTES], "big")
            if schemas is None:
                raise InvalidInput(
                    Reason.UNKNOWN_SCHEMA,
                    f"schema id {schema_id} in a Confluent frame, but schemas.registry_url is unset",
                )
            return self._read(value, CONFLUENT_FRAME_BYTES, schemas.schema(schema_id))
        raise InvalidInput(
            Reason.UNKNOWN_FRAME, "the value is neither JSON nor framed Avro (C3 01, or 00 and a schema id)"
        )

    def _read(self, value: bytes, start: int, writer: Any) -> dict[str, Any]:
        stream = BytesIO(value)
        stream.seek(start)
        try:
            if writer is None:
                datum = schemaless_reader(stream, self.parsed, None)
            else:
                datum = schemaless_reader(stream, writer, self.parsed)
        except InvalidInput:
            raise
        except (
            Exception
        ) as error:  # bytes from outside may fail in any way: IndexError, EOFError, UnicodeDecodeError, …
            raise InvalidInput(
                Reason.UNDECODABLE, f"not a {self.name} record in Avro: {type(error).__name__}"
            ) from error
        if stream.tell() != len(value):
            raise InvalidInput(
                Reason.UNDECODABLE, f"{len(value) - stream.tell()} bytes are left after the {self.name} record"
            )
        if not isinstance(datum, dict):
            raise InvalidInput(Reason.UNDECODABLE, f"the writer's schema is not a record {self.name}")
        return datum


class SchemaSource:
    """Writer schemas by registry id. The base class knows those it is given; `wire.registry` asks a registry."""

    def __init__(self, known: Mapping[int, Any] | None = None) -> None:
        self.known: dict[int, Any] = dict(known or {})

    async def prepare(self, values: Iterable[bytes | None]) -> None:
        """Makes the schemas of these values known. Raises OSError when they cannot be had now."""

    def schema(self, schema_id: int) -> Any:
        """Parsed schema. Raises InvalidInput (unknown_schema) for an id that the registry does not have."""
        if schema_id not in self.known:
            raise InvalidInput(Reason.UNKNOWN_SCHEMA, f"schema id {schema_id} is not in the registry")
        return self.known[schema_id]


def without_logical_types(schema: Any) -> Any:
    """The schema with plain numbers for times: the same bytes, no datetimes."""
    if isinstance(schema, dict):
        return {k: without_logical_types(v) for k, v in schema.items() if k != "logicalType"}
    if isinstance(schema, list):
        return [without_logical_types(item) for item in schema]
    return schema


@cache
def avro_type(name: str) -> AvroType:
    """The newest released schema of this name (file name without .avsc)."""
    return AvroType(name, (data_dir("schemas") / f"{name}.avsc").read_text())


@cache
def released_type(name: str, version: int) -> AvroType:
    """An earlier release of a schema, for what need not be written in the newest."""
    return AvroType(name, json.dumps(lock()[name][version - 1]["schema"]))


def written_type(name: str, generation: int) -> AvroType:
    """The schema that a generation (`schemas.write`) writes."""
    if generation >= NEWEST_GENERATION or name not in _FIRST_GENERATION:
        return avro_type(name)
    return released_type(name, _FIRST_GENERATION[name])


@cache
def lock() -> dict[str, list[dict[str, Any]]]:
    """Every released version of every schema: name to [{version, fingerprint, schema}], oldest first."""
    loaded: dict[str, list[dict[str, Any]]] = json.loads((data_dir("schemas") / "lock.json").read_text())
    return loaded


@cache
def released() -> dict[bytes, Any]:
    """Writer schemas of all releases by fingerprint."""
    return {
        bytes.fromhex(version["fingerprint"]): parse_schema(without_logical_types(version["schema"]))
        for versions in lock().values()
        for version in versions
    }
