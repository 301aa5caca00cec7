"""Messages whose notifications have contents of their own become the requests that single messages would become."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushcast.model.batch import Message, SendBatch
from pushcast.model.clock import ManualClock
from pushcast.model.notification import Content, Options
from pushcast.model.own import OwnClass
from pushcast.providers.apns.client import ApnsProvider
from pushcast.providers.client import Setup, TemplateProvider
from pushcast.providers.contents import each_content, portions
from pushcast.providers.engines.engine import MAX_GATHERED
from pushcast.providers.fcm.client import FcmProvider
from pushcast.providers.port import Part, Result
from pushcast.wire.sending.batch_reader import read_batch
from pushcast.wire.sending.batches import encode_batch
from unit.providers.test_memory import NoCredential
from unit.providers.test_paced import SilentEngine
from unit.send.twin import message

SETUP = Setup("news", "multicast", SilentEngine(), NoCredential(), 10.0, ManualClock())
PROVIDERS: list[TemplateProvider] = [
    ApnsProvider(SETUP, topic="t", authority=b"push.example"),
    ApnsProvider(replace(SETUP, collapse_by="content"), topic="t", authority=b"push.example", filters_removals=True),
    FcmProvider(SETUP, project_id="p", authority=b"push.example"),
]
#: What a chat may differ in; the last two cannot be sent.
WAYS = [
    (Content("Anna", "hello"), Options()),
    (Content("Anna", "hello", {"room": "7"}), Options(thread_id="t-1", badge=3, sound="bell")),
    (Content("Anna", "hello", link="https://example.com/7"), Options(collapse_id="c", priority="normal")),
    (Content(None, None, {"room": "7"}), Options(push_type="background")),
    (Content("Anna", "x" * 5000), Options()),
    (Content("Anna", "hello", {"aps": "mine", "from": "me"}), Options()),
]
SOUND, MALFORMED = b"ab" * 32, b"no token"


def singles(ways: list[int], malformed: Iterable[int] = (), klass: str = "default") -> list[Message]:
    """`malformed`: users whose tokens are none."""
    made = []
    for user, way in enumerate(ways):
        one = message(name=f"n{user}", first_user=user)
        one.content, one.options = WAYS[way]
        one.content_hash = bytes([way]) * 16
        one.klass = klass
        one.targets.address[0] = MALFORMED if user in malformed else SOUND
        made.append(one)
    return made


def prepared(provider: TemplateProvider, parts: list[Part]) -> list[Any]:
    """Requests, by template, name and columns; without the part that each belongs to."""
    rows = []
    for requests in provider._prepared(parts):
        columns = zip(*requests.columns, strict=True)
        names = requests.names or [""] * len(requests)
        rows += [(requests.key, name, column) for name, column in zip(names, columns, strict=True)]
    return rows


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: f"{provider.platform}-{provider.collapse_by}")
@given(
    ways=st.lists(st.sampled_from(range(len(WAYS))), min_size=2, max_size=9)
    | st.sampled_from([[0] * 40, [0] * 40 + [1, 2, 0], [0, 1] * 40]),
    malformed=st.sets(st.integers(0, 8), max_size=2),
    klass=st.sampled_from(["default", "default", OwnClass.REMOVE]),
)
def test_requests_and_refusals_are_those_of_single_messages(
    provider: TemplateProvider, ways: list[int], malformed: set[int], klass: str
) -> None:
    apart_ = singles(ways, malformed, klass)
    (mixed,) = read_batch(encode_batch(SendBatch("normal", "apns", apart_)), lambda app: True).messages
    together: list[Result] = []
    apart: list[tuple[int, Result]] = []

    def hears(number: int) -> Any:
        return lambda results: apart.extend((number, result) for result in results)

    of_mixed = prepared(provider, [Part(mixed, range(len(ways)), together.extend)])
    of_singles = prepared(provider, [Part(one, [0], hears(number)) for number, one in enumerate(apart_)])
    # Where many that follow each other share a template they have requests of their own.
    assert sorted(of_mixed) == sorted(of_singles)
    assert together == [result._replace(target=number) for number, result in apart]


def test_each_content_comes_with_its_target_and_who_hears_of_it() -> None:
    (mixed,) = read_batch(encode_batch(SendBatch("normal", "apns", singles([0, 1, 2]))), lambda app: True).messages
    results: list[Result] = []
    found = [
        (part.message.content, part.message.options, part.message.wordings, list(part.indices), part.on_results)
        for part in each_content(Part(mixed, [2, 0], results.extend))
    ]
    assert found == [(*WAYS[2], None, [2], results.extend), (*WAYS[0], None, [0], results.extend)]


@given(st.lists(st.tuples(st.integers(1, 2500), st.booleans()), max_size=8))
def test_a_portion_holds_no_more_contents_than_are_prepared_in_one_turn(sizes: list[tuple[int, bool]]) -> None:
    plain = message()
    mixed = message()
    mixed.wordings = []
    parts = [Part(mixed if is_mixed else plain, range(size), lambda _: None) for size, is_mixed in sizes]
    made = list(portions(parts))
    for portion in made:
        assert sum(1 if part.message is plain else len(part.indices) for part in portion) <= MAX_GATHERED
    again = [(id(part.message), index) for portion in made for part in portion for index in part.indices]
    assert again == [(id(part.message), index) for part in parts for index in part.indices]
