"""Whoever reads JSON expects that it is nested too deep: Python's limit of depth is no error of the reader's own."""

from __future__ import annotations

import ast

from unit.house.imports import modules

#: Errors by which a reader that recurses says that it cannot read something. orjson has a limit and a word of its own.
READERS = {"msgspec.DecodeError", "msgspec.MsgspecError", "json.JSONDecodeError"}
DEEP = {"RecursionError", "UNREADABLE"}


def names(caught: ast.expr | None) -> set[str]:
    parts = caught.elts if isinstance(caught, ast.Tuple) else [caught] if caught is not None else []
    return {ast.unparse(part.value if isinstance(part, ast.Starred) else part) for part in parts}


def careless(source: str) -> list[int]:
    """Lines of `try` blocks that expect what cannot be read, and not that it is nested too deep."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Try):
            caught = set[str]().union(*(names(handler.type) for handler in node.handlers))
            if caught & READERS and not caught & (DEEP | {"Exception", "BaseException"}):
                found.append(node.lineno)
    return found


def test_whoever_catches_a_reader_of_json_catches_what_is_nested_too_deep() -> None:
    sources = {name: path.read_text(encoding="utf-8") for name, path in modules().items()}
    of_readers = {name: text for name, text in sources.items() if any(each in text for each in READERS)}
    assert len(of_readers) > 5
    assert {name: lines for name, text in of_readers.items() if (lines := careless(text))} == {}


def test_the_rule_finds_who_breaks_it() -> None:
    form = "try:\n    read()\nexcept ({}, ValueError):\n    pass\n"
    for reader in READERS:
        assert careless(form.format(reader)) == [1]
        assert careless(form.format(f"{reader}, RecursionError")) == []
    assert careless(form.format("*UNREADABLE")) == careless(form.format("orjson.JSONDecodeError")) == []
