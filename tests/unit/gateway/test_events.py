"""Bodies read as objects: the fast way and the one that tells what is wrong must agree."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushcast.gateway.events import read_object
from pushcast.gateway.problems import Problem

TEXTS = st.text('ab:\\"é{},', max_size=4)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def written(pairs: list[tuple[str, Any]], escapes: bool) -> bytes:
    text = (
        "{" + ",".join(f"{json.dumps(name)}:{json.dumps(value, ensure_ascii=escapes)}" for name, value in pairs) + "}"
    )
    return (text.replace("a:", "a\\u003a") if escapes else text).encode()


@given(st.lists(st.tuples(TEXTS, VALUES), max_size=5), st.booleans())
def test_g7_a_field_that_stands_twice_is_refused_and_nothing_else(pairs: list[tuple[str, Any]], escapes: bool) -> None:
    body = written(pairs, escapes)
    names = [name for name, _ in json.loads(body, object_pairs_hook=list)]
    if len(set(names)) < len(names):
        with pytest.raises(Problem, match="twice"):
            read_object(body)
    else:
        assert read_object(body) == json.loads(body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1,"a":1}',
        b'{"o":{"a":1,"a":2}}',
        b'{"l":[{"a":1,"a":2}]}',
        b'{"a":"\\u003a","a":1}',
        b'{"a":"x\\u003A","b":"y","b":"z"}',
        b'{"a":NaN}',
        b"[" * 10_000,
        b'{"a":' * 10_000,
        b"",
        b"[]",
        b'{"a":"\xff"}',
    ],
)
def test_g7_what_is_no_plain_object_is_a_problem(body: bytes) -> None:
    with pytest.raises(Problem):
        read_object(body)
