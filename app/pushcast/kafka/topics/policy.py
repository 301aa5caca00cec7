"""What a reviewer would check in the topic files, beyond what a single file can say. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pushcast.kafka.topics.load import file_name
from pushcast.kafka.topics.model import DAY_SECONDS, TopicFamily, Topology
from pushcast.kafka.topics.words import AGENT_ROLES, PersonalData

#: Longest that a topic keeps records about people; a compacted one must drop replaced rows sooner than that.
MAX_PERSONAL_RETENTION_SECONDS: Final = 7 * DAY_SECONDS
#: A copy of a compacted topic that was away for longer than this may keep rows whose tombstone it never saw.
MIN_TOMBSTONE_RETENTION_SECONDS: Final = 7 * DAY_SECONDS

_NAME = re.compile(r"push(\.([a-z0-9]+|<[a-z]+>))+\.v[1-9][0-9]*")
_FIELDS = {
    "user": PersonalData.USER_ID,
    "users": PersonalData.USER_ID,
    "device": PersonalData.DEVICE_ID,
    "devices": PersonalData.DEVICE_ID,
    "token": PersonalData.TOKEN,
    "address": PersonalData.TOKEN,
    "addresses": PersonalData.TOKEN,
    "title": PersonalData.CONTENT,
    "body": PersonalData.CONTENT,
    "locale": PersonalData.LOCALE,
}


def problems(topology: Topology, schemas: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What is wrong, one sentence each, naming the file. `schemas` are all Avro records by their name."""
    found = [
        f"{file_name(family)}: {problem}"
        for family in topology.families
        for problem in _family_problems(family, schemas)
    ]
    used = {
        name
        for family in topology.families
        for name in (family.schema_name, family.fence_schema_name, *family.also)
        if name is not None
    }
    found += [f"schemas: no topic carries {name}" for name in sorted(schemas.keys() - used)]
    return found


def _family_problems(family: TopicFamily, schemas: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    if not _NAME.fullmatch(family.name):
        yield "name: must be push.<words>.v<major>, in lower case"
    for schema in (family.schema_name, *family.also):
        if schema == "any":
            continue
        if schema not in schemas:
            yield f"schema: schemas/ has no record {schema}"
        else:
            told = {_FIELDS[name] for name in _field_names(schemas[schema]) if name in _FIELDS}
            if untold := sorted(told - set(family.personal_data)):
                yield f"personal_data: fields of {schema} are {', '.join(untold)}"
    if family.key.startswith("user") and PersonalData.USER_ID not in family.personal_data:
        yield "personal_data: the key is a user_id"
    if family.dead_letter_twin != any(role in AGENT_ROLES for role in family.consumers):
        yield "dead_letter_twin: a topic that a stage consumes has one, no other has"
    kept_seconds = family.retention_seconds or family.max_compaction_lag_seconds or 0
    if family.personal_data and kept_seconds > MAX_PERSONAL_RETENTION_SECONDS:
        yield f"retention: personal data is kept for at most {MAX_PERSONAL_RETENTION_SECONDS} seconds"
    tombstones_seconds = family.delete_retention_seconds
    if tombstones_seconds is not None and tombstones_seconds < MIN_TOMBSTONE_RETENTION_SECONDS:
        yield f"delete_retention_seconds: at least {MIN_TOMBSTONE_RETENTION_SECONDS}, for copies that were away"


def _field_names(schema: Any) -> Iterator[str]:
    """Names of the fields of a schema and of the records inside it."""
    if isinstance(schema, Mapping):
        if schema.get("type") == "record":
            yield from (field["name"] for field in schema["fields"])
        for value in schema.values():
            yield from _field_names(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _field_names(value)
