"""Writes to standard output what a release consists of, as CycloneDX 1.6: every locked Python package, every jar.

From the locks alone, so it needs no network, no environment, and says the same each time. A package has the hashes of
all its files, of every platform; the jars are those of the embedded Kafka, fetched when it is first started.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ROOT / "requirements" / "base.txt"
JARS = ROOT / "app" / "pushcast" / "kafka" / "embedded" / "kafka-jars.lock.toml"
PRODUCT = "pushcast"
_PIN = re.compile(r"(?P<name>[\w.-]+)==(?P<version>[^\s;\\]+)(?: ; (?P<marker>[^\\]+?))?(?: \\)?$")
_HASH = re.compile(r"    --hash=sha256:(?P<hash>[0-9a-f]{64})(?: \\)?$")
_WANTED_BY = re.compile(r"    #(?: via)?\s*(?P<name>[\w.-]*)(?: \(pyproject\.toml\))?$")


@dataclass
class Package:
    """A pinned line of the lock and what stands below it."""

    name: str
    version: str
    marker: str | None
    hashes: list[str] = field(default_factory=list)
    wanted_by: list[str] = field(default_factory=list)

    @property
    def purl(self) -> str:
        return f"pkg:pypi/{self.name}@{self.version}"


def packages(lock: str) -> Iterator[Package]:
    """Raises ValueError for a line that is none of a lock's."""
    package: Package | None = None
    for line in lock.splitlines():
        if pin := _PIN.match(line):
            if package is not None:
                yield package
            package = Package(pin["name"], pin["version"], pin["marker"])
        elif package is not None and (hashed := _HASH.match(line)):
            package.hashes.append(hashed["hash"])
        elif package is not None and (wanted := _WANTED_BY.match(line)):
            package.wanted_by += filter(None, [wanted["name"]])
        else:
            raise ValueError(f"not understood: {line}")
    if package is not None:
        yield package


def bill(version: str, lock: str, jars: list[dict[str, str]]) -> dict[str, Any]:
    """The document. Its serial number is that of its content."""
    found = list(packages(lock))
    components = [_python(each) for each in found] + [_jar(each) for each in jars]
    refs = {each.name: each.purl for each in found}
    product = f"pkg:generic/{PRODUCT}@{version}"
    wants: dict[str, set[str]] = {product: {each["bom-ref"] for each in map(_jar, jars)}}
    for package in found:
        for name in package.wanted_by:
            wants.setdefault(product if name == PRODUCT else refs[name], set()).add(package.purl)
    document: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": product,
                "name": PRODUCT,
                "version": version,
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            }
        },
        "components": components,
        "dependencies": [
            {"ref": ref, "dependsOn": sorted(wants.get(ref, ()))}
            for ref in (product, *(each["bom-ref"] for each in components))
        ],
    }
    serial = uuid.uuid5(uuid.NAMESPACE_OID, json.dumps(document, sort_keys=True))
    return {"serialNumber": f"urn:uuid:{serial}", **document}


def _python(package: Package) -> dict[str, Any]:
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": package.purl,
        "name": package.name,
        "version": package.version,
        "purl": package.purl,
        # Not of the component itself: each is one file's, and which file an installation takes depends on the machine.
        "externalReferences": [
            {"type": "distribution", "url": package.purl, "hashes": [{"alg": "SHA-256", "content": each}]}
            for each in package.hashes
        ],
    }
    if package.marker is not None:
        component["properties"] = [{"name": "pushcast:marker", "value": package.marker}]
    return component


def _jar(jar: dict[str, str]) -> dict[str, Any]:
    purl = f"pkg:maven/{jar['group']}/{jar['artifact']}@{jar['version']}"
    return {
        "type": "library",
        "bom-ref": purl,
        "group": jar["group"],
        "name": jar["artifact"],
        "version": jar["version"],
        "purl": purl,
        "hashes": [{"alg": "SHA-256", "content": jar["sha256"]}],
    }


def main(version: str) -> None:
    """For `make sbom`."""
    jars = tomllib.loads(JARS.read_text(encoding="utf-8"))["jar"]
    json.dump(bill(version, PACKAGES.read_text(encoding="utf-8"), jars), sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main(sys.argv[1])
