"""What a digest shows, however long its members are."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pushcast.config.digests import Digest
from pushcast.model.digest import DigestRule
from pushcast.model.words import Reason
from pushcast.wire.events.class_rules import ClassRule
from pushcast.wire.events.notifications import NotificationDecoder
from pushcast.wire.waiting.digest_text import DigestPart, digest_event
from pushcast.wire.waiting.digests import Head
from pushcast.wire.waiting.facts import MAX_TITLE_CHARS, Facts, decode_facts, encode_facts

T0 = 1_800_000_000_000
HEAD = Head("normal|7", "normal", "news", "posts", "post-17", False, T0, T0 + 600_000)
RULE = DigestRule(3_600_000, listed=2, title="{first_title} … {last_title}", body="{count} in {app} {x} {")
PARTS = [DigestPart(f"n{number}", f"title {number}", T0 + 86_400_000) for number in (1, 2, 3)]


def test_texts_are_filled_and_the_newest_ids_listed() -> None:
    event = json.loads(digest_event(HEAD, PARTS, T0, RULE))
    assert (event["id"], event["app"], event["class"]) == (HEAD.id, "news", "posts")
    assert (event["title"], event["body"]) == ("title 1 … title 3", "3 in news {x} {")
    assert event["data"] == {"digest_ids": ["n2", "n3"], "digest_count": 3}


def test_a_title_that_looks_like_a_text_with_places_is_not_filled_again() -> None:
    [event] = [json.loads(digest_event(HEAD, [DigestPart("n", "{count}", T0 + 1)], T0, RULE))]
    assert event["title"] == "{count} … {count}"


@pytest.mark.parametrize(("lives", "expires"), [(7_200_000, 3_600_000), (60_000, 60_000)])
def test_it_lives_as_its_class_says_and_not_longer_than_its_members(lives: int, expires: int) -> None:
    parts = [DigestPart("n1", "t", T0 + 1), DigestPart("n2", "t", T0 + lives)]
    decoder = NotificationDecoder({"news"}, {"posts": ClassRule(1_000), "default": ClassRule(1_000)})
    note = decoder.decode("ann", digest_event(HEAD, parts, T0, RULE), T0 + 5_000)
    assert (note.created_at, note.expires_at) == (T0, T0 + expires)


def test_members_that_are_all_over_4_kb_make_a_digest_that_fits() -> None:
    """Bad input of issue 14."""
    long = Facts(Reason.DIGEST, "posts", T0 + 1, title="ü" * 5_000)
    title = decode_facts(encode_facts(long)).title
    assert len(title) == MAX_TITLE_CHARS
    parts = [DigestPart(f"{number}" + "i" * 250, title, T0 + 1) for number in range(500)]
    event = digest_event(HEAD, parts, T0, RULE._replace(listed=20, body="{last_title}" * 20))
    assert len(event) < 3_000
    assert 3 <= len(json.loads(event)["data"]["digest_ids"]) <= 4


def test_a_dry_run_stays_one() -> None:
    head = Head("normal|7", "normal", None, "posts", "", True, T0, T0)
    event = json.loads(digest_event(head, PARTS, T0, RULE))
    assert event["options"] == {"dry_run": True}
    assert "app" not in event


@pytest.mark.parametrize(
    ("tree", "problem"),
    [
        ({}, "set either window_seconds or at"),
        ({"window_seconds": 60, "at": ["08:00"]}, "set either window_seconds or at"),
        ({"at": ["2026-12-24T08:00"]}, "no time of day"),
        ({"at": ["25:00"]}, "no time of day"),
        ({"window_seconds": 60, "title": "{titel}"}, "first_title"),
        ({"window_seconds": 60, "body": "{"}, "no other brace"),
        ({"window_seconds": 0}, "greater than or equal to 1"),
        ({"window_seconds": 604_801}, "less than or equal to 604800"),
        ({"window_seconds": 60, "max_events": 501}, "less than or equal to 500"),
    ],
)
def test_a_digest_that_cannot_be_is_refused(tree: dict[str, object], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Digest.model_validate(tree)


@pytest.mark.parametrize(
    ("key", "shared", "thread"),
    [("thread_id", "t1", "t1"), ("thread_id", "", None), ("thread_id", "t" * 257, None), ("digest_key", "t1", None)],
)
def test_a_digest_by_thread_belongs_to_it_so_that_it_is_judged_as_its_members_are(
    key: Any, shared: str, thread: str | None
) -> None:
    """Who had switched the thread off while they waited got the digest all the same."""
    head = Head("normal|7", "normal", "news", "posts", shared, True, T0, T0)
    event = json.loads(digest_event(head, PARTS, T0, Digest(window_seconds=600, key=key).rule(3_600)))
    assert event["options"].get("thread_id") == thread
    assert event["options"]["dry_run"]
