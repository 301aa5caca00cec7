"""`pushcast.yaml` as a tree of plain values: strict where YAML is not, and durations as people write them. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError

#: No setting lies half as deep. YAML's own reader calls itself for each level, until Python has no stack left.
MAX_DEPTH: Final = 40
#: Values of a file, those behind an alias counted each time they are named: ten lines can stand for a billion.
MAX_VALUES: Final = 250_000

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNIT_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}
#: Up to the last @ before the path: a password may hold one, too.
_USER_INFO = re.compile(r"(?<=://)[^/?#\s]*@")
_MERGE: Final = "tag:yaml.org,2002:merge"
_TEXT: Final = "tag:yaml.org,2002:str"
_NO_TEXT = re.compile("[\0\ud800-\udfff]")


class NotAMapping(ValueError):
    """The file holds a list, a word, a number: no sections."""


class _Loader(yaml.SafeLoader):
    """Refuses what YAML's own reader takes in silence, ends of, or never ends with; each with its place in the file."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = 0
        self._extents: dict[yaml.Node, tuple[int, int]] = {}  # values and levels, aliases followed

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        mark = event.start_mark
        if self._depth == MAX_DEPTH:
            raise ComposerError(None, None, f"more than {MAX_DEPTH} levels", mark)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        if isinstance(event, yaml.AliasEvent):
            if node not in self._extents:
                raise ComposerError(None, None, f"the alias *{event.anchor} stands within what it names", mark)
        elif node is not None:
            self._extents[node] = self._extent(node, mark)
        return node

    def _extent(self, node: yaml.Node, mark: yaml.Mark) -> tuple[int, int]:
        """Of a node that was just read, after its children."""
        if isinstance(node, yaml.ScalarNode):
            if _NO_TEXT.search(node.value):
                raise ComposerError(None, None, "a null character, or half of a pair of \\u escapes", mark)
            return 1, 1
        pairs = isinstance(node, yaml.MappingNode)
        children = [each for pair in node.value for each in pair] if pairs else node.value
        found = [self._extents[child] for child in children]
        values = 1 + sum(each for each, _ in found)
        levels = 1 + max((each for _, each in found), default=0)
        if values > MAX_VALUES or levels > MAX_DEPTH:
            limit = f"{MAX_VALUES} values" if values > MAX_VALUES else f"{MAX_DEPTH} levels"
            raise ComposerError(None, None, f"with its aliases this is more than {limit}", mark)
        return values, levels

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """YAML's own reader silently takes the last of two keys, and `no` for a key that is no text."""
        node = super().compose_mapping_node(anchor)
        seen: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
                continue
            if key.tag != _TEXT:
                problem = f"the key {key.value!r} is no text as YAML reads it; put it in quotes"
                raise ComposerError(None, None, problem, key.start_mark)
            if key.value in seen:
                problem = f"the key {key.value!r} stands here for the second time, first in line {seen[key.value]}"
                raise ComposerError(None, None, problem, key.start_mark)
            seen[key.value] = key.start_mark.line + 1
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ArithmeticError, AttributeError, LookupError, ValueError):  # of int(), date() and the like
            kind = node.tag.rpartition(":")[2]
            problem = f"this looks like one of YAML's {kind} values and is none; put it in quotes if it is text"
            raise ConstructorError(None, None, problem, node.start_mark) from None


def read_tree(file: Path) -> dict[str, Any]:
    """Empty for an empty file. Raises yaml.MarkedYAMLError, NotAMapping, OSError, UnicodeDecodeError."""
    tree = yaml.load(file.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a SafeLoader
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        kind = "a list" if isinstance(tree, list) else f"one {type(tree).__name__}"
        raise NotAMapping(f"{file} holds {kind}; it must hold sections, like `kafka: {{partitions: 8}}`")
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
