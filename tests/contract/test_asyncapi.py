"""docs/asyncapi.yaml: fresh, and valid by the schema that AsyncAPI publishes."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from pushcast.kafka.topics import load_topology
from pushcast.kafka.topics.asyncapi import render

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docs" / "asyncapi.yaml"
JUDGE = Path(__file__).parent / "asyncapi"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return found


def test_the_document_is_fresh() -> None:
    assert FILE.read_text(encoding="utf-8") == render(), "run `make graph`"


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("no npm on the path: AsyncAPI's own schema does not judge the document")
    folder = tmp_path_factory.mktemp("asyncapi") / "judge"
    shutil.copytree(JUDGE, folder)
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run(command, cwd=folder, check=True, timeout=100)
    found = folder / "node_modules" / "@asyncapi" / "specs" / "schemas" / "3.0.0.json"
    schema: dict[str, Any] = json.loads(found.read_text(encoding="utf-8"))
    return schema


def test_asyncapis_own_schema_takes_it(schema: dict[str, Any], document: dict[str, Any]) -> None:
    jsonschema.Draft7Validator(schema).validate(document)


def test_asyncapis_own_schema_finds_a_mistake(schema: dict[str, Any], document: dict[str, Any]) -> None:
    broken = json.loads(json.dumps(document))
    next(iter(broken["operations"].values()))["action"] = "publish"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(schema).validate(broken)


def test_every_topic_of_the_product_has_an_address_and_every_reference_a_target(document: dict[str, Any]) -> None:
    names: set[str] = set()
    for channel in document["channels"].values():
        addresses = [channel["address"]]
        for parameter, values in channel.get("parameters", {}).items():
            addresses = [each.replace(f"{{{parameter}}}", value) for each in addresses for value in values["enum"]]
        names.update(addresses)
    assert names == {topic.name for topic in load_topology().topics if topic.source is None}
    for reference in references(document):
        target: Any = document
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]


def references(tree: Any) -> list[str]:
    if isinstance(tree, dict):
        found = [each for value in tree.values() for each in references(value)]
        return [*found, tree["$ref"]] if "$ref" in tree else found
    return [each for value in tree for each in references(value)] if isinstance(tree, list) else []
