"""What people did not understand, or looked for in vain, in the documents (faults.md, section 4)."""

from __future__ import annotations

import pytest

from snippets import EVERY_PAGE, ROOT

#: Beginnings of the sentences that readers understood least. Each has a plain one in its place.
NOT_UNDERSTOOD = (
    "A partition is a lane of its own",
    "Records of a producer with another partitioner are forwarded once",
    "is the default for events that come by command line",
    "of a partition invalid: its consumer stops",
    "looked through, tried",
    "The embedded Kafka has no place in this file",
    "instead of emptying the topic into its dead letters",
    "Behind one, Web Push reaches",
    "when everything it caused is acknowledged by Kafka. The tracker commits",
    "not per target, but for what leaves together",
    "soon after work came that nothing holds",
    "what it passed on, carried over or ended is in its own tail",
    "written since the predecessor's last seconds",
    "that nobody has healed when the cleaner compacts",
    "far above the other two together",
)


def in_one_line(text: str) -> str:
    return " ".join(text.split())


TEXTS = {page: in_one_line(page.read_text(encoding="utf-8")) for page in EVERY_PAGE}


@pytest.mark.parametrize("sentence", NOT_UNDERSTOOD)
def test_a_sentence_that_nobody_understood_stands_on_no_page(sentence: str) -> None:
    pages = [str(page.relative_to(ROOT)) for page in EVERY_PAGE if sentence in TEXTS[page]]
    assert pages == []


def test_every_page_of_the_repository_is_looked_at() -> None:
    folders = [path for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")]
    found = {*ROOT.glob("*.md"), *(page for folder in folders for page in folder.rglob("*.md"))}
    assert sorted(map(str, found - {*EVERY_PAGE})) == []


@pytest.mark.parametrize(
    ("page", "heading", "words"),
    [
        ("README.md", "## Two commands", "It is expected to work on arm64 and macOS, where it was never run"),
        ("README.md", "## What it does not do", "no e-mail, no SMS, no inbox inside an app, no gRPC door"),
        ("README.md", "## Topics are the API", "Planned, receipt, send and devices topics also hold **fences**"),
        ("docs/operations.md", "## ", "A smaller value moves them sooner"),
    ],
    ids=["p3_33_machines", "p3_32_bounds", "p3_29_records_without_key_and_value", "p3_30_session_timeout"],
)
def test_a_page_says_what_people_looked_for(page: str, heading: str, words: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert heading in text
    assert words in in_one_line(text.split(heading, 1)[1])
