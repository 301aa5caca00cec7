"""Reads the topic files, and holds running agents against them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import cache
from importlib.resources.abc import Traversable

import yaml
from pydantic import ValidationError

from pushcast.kafka.topics.errors import InvalidTopology, UndeclaredEdge
from pushcast.kafka.topics.model import TopicFamily, Topology
from pushcast.kafka.topics.words import Role
from pushcast.resources import data_dir


@cache
def load_topology(*more: Traversable) -> Topology:
    """The topology that belongs to this release, with the topic files of `more` folders beside it.

    Raises InvalidTopology naming file and key.
    """
    return read_topology(data_dir("topology") / "topics", *more)


def read_topology(*folders: Traversable) -> Topology:
    """Every `*.yaml` of the folders, in the order of the names. Raises InvalidTopology naming file and key."""
    found: list[Traversable] = []
    for folder in folders:
        files = [file for file in folder.iterdir() if file.name.endswith(".yaml")]
        if not files:
            raise InvalidTopology(f"{folder}: there is no topic file")
        found += files
    topology = Topology(tuple(_read(file) for file in sorted(found, key=lambda file: file.name)))
    for name, count in Counter(topic.name for topic in topology.all_topics).items():
        if count > 1:
            raise InvalidTopology(f"{name}: {count} files describe this topic")
    return topology


def file_name(family: TopicFamily) -> str:
    """The file that a family belongs into: its name without the angle brackets, which not every file system takes."""
    return family.name.replace("<", "").replace(">", "") + ".yaml"


def _read(file: Traversable) -> TopicFamily:
    try:
        family = TopicFamily.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except yaml.YAMLError as error:
        raise InvalidTopology(f"{file.name}: not YAML: {error}") from error
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc'])) or 'the file'}: {e['msg']}" for e in error.errors()]
        raise InvalidTopology(f"{file.name}: " + "; ".join(lines)) from None
    if file.name != file_name(family):
        raise InvalidTopology(f"{file.name}: describes {family.name}, so it must be called {file_name(family)}")
    return family


def check_edges(
    role: Role | str, consumed: Iterable[str], produced: Iterable[str], topology: Topology | None = None
) -> None:
    """Refuses an agent that consumes or produces a topic which the topology does not give to its role.

    Raises UndeclaredEdge naming every such topic and the file to change. Reading back one's own outputs is no edge.
    """
    topology = topology or load_topology()
    known = topology.by_name
    wrong: list[str] = []
    for verb, names, allowed in (
        ("consumes", consumed, topology.for_consumer(role)),
        ("produces", produced, topology.for_producer(role)),
    ):
        allowed_names = {topic.name for topic in allowed}
        for name in sorted(set(names) - allowed_names):
            topic = known.get(name)
            remedy = (
                f"topology/topics/{file_name(topic.family)} does not say so"
                if topic
                else "no file in topology/topics describes it"
            )
            wrong.append(f"{role} {verb} {name}, but {remedy}")
    if wrong:
        raise UndeclaredEdge("; ".join(wrong))
