"""Releases of schemas: the lock, the compatibility law, golden examples. Used by `pushcast schemas` and the tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.schema import parse

from pushcast.wire.schemas import NAMES, AvroType, avro_type

Lock = dict[str, list[dict[str, Any]]]


def incompatibilities(reader: dict[str, Any], writer: dict[str, Any]) -> list[str]:
    """Why data of `writer` cannot be read as `reader`; empty when it can."""
    checker = ReaderWriterCompatibilityChecker()  # type: ignore[no-untyped-call]
    result = checker.get_compatibility(parse(json.dumps(reader)), parse(json.dumps(writer)))
    if result.compatibility is SchemaCompatibilityType.compatible:
        return []
    return [str(message) for message in result.messages]


def problems(lock: Lock) -> list[str]:
    """What is wrong between the schemas and the lock; empty when all is released and readable."""
    found = [f"lock.json names {name}, which has no schema" for name in lock if name not in NAMES]
    for name in NAMES:
        current = avro_type(name)
        versions = lock.get(name, [])
        if [v["version"] for v in versions] != list(range(1, len(versions) + 1)):
            found.append(f"{name}: versions in lock.json are not 1, 2, 3, …")
        if not versions or versions[-1]["fingerprint"] != current.fingerprint.hex():
            found.append(f"{name}: the schema is not what lock.json froze; run `pushcast schemas release {name}`")
        for version in versions:
            frozen = AvroType(name, json.dumps(version["schema"]))
            if frozen.fingerprint.hex() != version["fingerprint"]:
                found.append(f"{name} v{version['version']}: the frozen schema does not have its fingerprint")
            found += [
                f"{name}: cannot read v{version['version']}: {reason}"
                for reason in incompatibilities(current.source, version["schema"])
            ]
            if name == "receipt":  # analysts upgrade when they like: old readers must read new receipts too
                found += [
                    f"receipt v{version['version']} cannot read the new one: {reason}"
                    for reason in incompatibilities(version["schema"], current.source)
                ]
    return found


def release(folder: Path, names: list[str]) -> list[str]:
    """Appends the current schemas of `names` to `folder`/lock.json; returns those that were new."""
    path = folder / "lock.json"
    lock: Lock = json.loads(path.read_text()) if path.exists() else {}
    new = []
    for name in names:
        current = avro_type(name)
        versions = lock.setdefault(name, [])
        if versions and versions[-1]["fingerprint"] == current.fingerprint.hex():
            continue
        new.append(name)
        versions.append(
            {"version": len(versions) + 1, "fingerprint": current.fingerprint.hex(), "schema": current.source}
        )
    path.write_text(json.dumps(dict(sorted(lock.items())), indent=1) + "\n")
    return new
