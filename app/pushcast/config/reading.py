"""`pushcast.yaml` as a tree of plain values: strict where YAML is not, and durations as people write them. Pure."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import ConstructorError

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNIT_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_USER_INFO = re.compile(r"(?<=://)[^/@\s]+@")


class NotAMapping(ValueError):
    """The file holds a list, a word, a number, or what has no name: no sections."""


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice: YAML's own reader silently takes the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: dict[str, int] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in seen:
                    problem = f"the key {key.value!r} stands here for the second time, first in line {seen[key.value]}"
                    raise ConstructorError(None, None, problem, key.start_mark)
                seen[key.value] = key.start_mark.line + 1
        return super().construct_mapping(node, deep)


def read_tree(file: Path) -> dict[str, Any]:
    """Empty for an empty file. Raises yaml.MarkedYAMLError, NotAMapping, OSError, UnicodeDecodeError."""
    tree = yaml.load(file.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a SafeLoader
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        kind = "a list" if isinstance(tree, list) else f"one {type(tree).__name__}"
        raise NotAMapping(f"{file} holds {kind}; it must hold sections, like `kafka: {{partitions: 8}}`")
    odd = [key for key in tree if not isinstance(key, str)]
    if odd:  # `1:`, `yes:`, `2026-12-01:`
        raise NotAMapping(f"{file} holds a section called {odd[0]!r}, which YAML does not read as a text")
    return tree


def with_seconds(tree: Any, name: str = "") -> Any:
    """The tree with `10m` under a key that ends with `_seconds` as 600; everything else as it is."""
    if isinstance(tree, Mapping):
        return {key: with_seconds(value, str(key)) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [with_seconds(value, name) for value in tree]
    if name.endswith("_seconds") and isinstance(tree, str) and (match := _DURATION.fullmatch(tree.strip())):
        seconds = float(match[1]) * _UNIT_SECONDS[match[2]]
        return int(seconds) if seconds.is_integer() else seconds
    return tree


def without_user_info(value: Any) -> Any:
    """A tree or text in which no URL shows a user or password."""
    if isinstance(value, Mapping):
        return {key: without_user_info(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [without_user_info(each) for each in value]
    return _USER_INFO.sub("***@", value) if isinstance(value, str) else value
