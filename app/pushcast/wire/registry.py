"""Writer schemas of Confluent frames, from a registry's REST interface (Confluent, Karapace, Apicurio ccompat)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import httpx
from fastavro import parse_schema
from fastavro.schema import SchemaParseException

from pushcast.model.errors import ConfigurationError
from pushcast.wire.schemas import CONFLUENT_FRAME_BYTES, CONFLUENT_MARKER, SchemaSource, without_logical_types

TIMEOUT_SECONDS = 10.0
# Producers have a handful of schemas; ids beyond this are a flood of nonsense and are not asked for.
MAX_KNOWN_IDS = 10_000


class RegistrySchemas(SchemaSource):
    """Asks the registry once per schema id, never while decoding: call `prepare` with the values of a batch first."""

    def __init__(self, url: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        if not url.startswith(("http://", "https://")):
            raise ConfigurationError("schemas.registry_url must be an http:// or https:// URL")
        super().__init__()
        self._missing: set[int] = set()
        self._client = httpx.AsyncClient(base_url=url, timeout=TIMEOUT_SECONDS, transport=transport)

    async def prepare(self, values: Iterable[bytes | None]) -> None:
        """Fetches what these values need. Raises OSError when the registry cannot be asked: run the batch again."""
        for schema_id in self._unknown(values):
            await self._fetch(schema_id)

    def _unknown(self, values: Iterable[bytes | None]) -> list[int]:
        ids = {
            int.from_bytes(value[1:CONFLUENT_FRAME_BYTES], "big")
            for value in values
            if value is not None and value[:1] == CONFLUENT_MARKER and len(value) >= CONFLUENT_FRAME_BYTES
        }
        new = sorted(ids - self.known.keys() - self._missing)
        return new[: max(0, MAX_KNOWN_IDS - len(self.known) - len(self._missing))]

    async def _fetch(self, schema_id: int) -> None:
        try:
            answer = await self._client.get(f"/schemas/ids/{schema_id}")
        except httpx.HTTPError as error:
            raise OSError(f"schema registry: {type(error).__name__}") from error
        if answer.status_code == 404:
            self._missing.add(schema_id)
            return
        if answer.status_code != 200:
            raise OSError(f"schema registry answered {answer.status_code}")
        self._keep(schema_id, answer.json())

    def _keep(self, schema_id: int, found: dict[str, Any]) -> None:
        """A schema that is not Avro is as good as missing: its records become dead letters."""
        try:
            if found.get("schemaType", "AVRO") != "AVRO":
                raise ValueError("not an Avro schema")
            self.known[schema_id] = parse_schema(without_logical_types(json.loads(found["schema"])))
        except (ValueError, KeyError, SchemaParseException):
            self._missing.add(schema_id)

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.aclose()
