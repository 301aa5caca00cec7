"""Writer schemas of Confluent frames, from a registry's REST interface (Confluent, Karapace, Apicurio ccompat)."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import httpx
from fastavro import parse_schema

from pushcast.model.errors import ConfigurationError, InvalidInput
from pushcast.model.words import Reason
from pushcast.wire.schemas import CONFLUENT_FRAME_BYTES, CONFLUENT_MARKER, SchemaSource, without_logical_types

TIMEOUT_SECONDS = 10.0
# Producers have a handful of schemas; ids beyond this are a flood of nonsense and are not asked for.
MAX_KNOWN_IDS = 10_000
#: A registry that was just started, or a replica that lags, does not know a schema yet: asked again after so long,
#: twice as long each time. Records in between are dead letters.
FIRST_MISSING_SECONDS = 1.0
LONGEST_MISSING_SECONDS = 60.0


class _Missing(NamedTuple):
    """Not asked for again before `until`, in seconds of the clock; `delay` is what was waited for that."""

    until: float
    delay: float


class RegistrySchemas(SchemaSource):
    """Asks the registry for a schema id until it knows it, never while decoding: call `prepare` with the values of a
    batch first.

    What is no Avro schema is not asked for again, what the registry does not know (404) is, with back-off.
    `clock`: seconds that only grow.
    """

    def __init__(
        self,
        url: str,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        _check_url(url)
        self._missing: dict[int, _Missing] = {}
        self._clock = clock
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
        unknown = sorted(ids - self.known.keys())
        now = self._clock()
        again = [schema_id for schema_id in unknown if schema_id in self._missing]
        new = [schema_id for schema_id in unknown if schema_id not in self._missing]
        room = max(0, MAX_KNOWN_IDS - len(self.known) - len(self._missing))
        return [schema_id for schema_id in again if self._missing[schema_id].until <= now] + new[:room]

    async def _fetch(self, schema_id: int) -> None:
        try:
            answer = await self._client.get(_path_of(schema_id))
        except httpx.HTTPError as error:
            raise OSError(f"schema registry: {type(error).__name__}") from error
        found = _found_in(answer)
        if found is None:
            before = self._missing.get(schema_id)
            delay = FIRST_MISSING_SECONDS if before is None else min(before.delay * 2, LONGEST_MISSING_SECONDS)
            self._missing[schema_id] = _Missing(self._clock() + delay, delay)
            return
        schema = _parsed(found)
        if schema is None:
            self._missing[schema_id] = _Missing(math.inf, math.inf)
        else:
            self.known[schema_id] = schema
            self._missing.pop(schema_id, None)

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.aclose()


class ToolSchemas(SchemaSource):
    """For tools, on any one thread: asks while decoding, and blocks. A registry that could not be asked is not asked
    again: what is written in its schemas cannot be read then."""

    def __init__(self, url: str, transport: httpx.BaseTransport | None = None) -> None:
        super().__init__()
        _check_url(url)
        self._url = url
        self._transport = transport
        self._missing: set[int] = set()
        self._away: str | None = None

    def schema(self, schema_id: int) -> Any:
        """As `SchemaSource.schema`; raises InvalidInput also while the registry does not answer."""
        if schema_id not in self.known and schema_id not in self._missing and len(self._missing) < MAX_KNOWN_IDS:
            if self._away is None:
                self._ask(schema_id)
            if self._away is not None:
                raise InvalidInput(Reason.UNKNOWN_SCHEMA, f"schema id {schema_id} is not known: {self._away}")
        return super().schema(schema_id)

    def _ask(self, schema_id: int) -> None:
        try:
            with httpx.Client(base_url=self._url, timeout=TIMEOUT_SECONDS, transport=self._transport) as client:
                found = _found_in(client.get(_path_of(schema_id)))
        except httpx.HTTPError as error:
            self._away = f"schema registry: {type(error).__name__}"
        except OSError as error:
            self._away = str(error)
        else:
            schema = None if found is None else _parsed(found)
            if schema is None:
                self._missing.add(schema_id)
            else:
                self.known[schema_id] = schema


def _check_url(url: str) -> None:
    if not url.startswith(("http://", "https://")):
        raise ConfigurationError("schemas.registry_url must be an http:// or https:// URL")


def _path_of(schema_id: int) -> str:
    return f"/schemas/ids/{schema_id}"


def _found_in(answer: httpx.Response) -> dict[str, Any] | None:
    """None: the registry does not know the id. Raises OSError for an answer that says neither."""
    if answer.status_code == 404:
        return None
    if answer.status_code != 200:
        raise OSError(f"schema registry answered {answer.status_code}")
    try:
        found = answer.json()
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("schema"), str):
        raise OSError("schema registry answered 200 without a schema: a proxy's page?")
    return found


def _parsed(found: dict[str, Any]) -> Any:
    """None for one that is not Avro, which is as good as missing: its records become dead letters."""
    try:
        if found.get("schemaType", "AVRO") != "AVRO":
            return None
        return parse_schema(without_logical_types(json.loads(found["schema"])))
    except Exception:  # on what is no schema fastavro raises many things: TypeError, AttributeError, …
        return None
