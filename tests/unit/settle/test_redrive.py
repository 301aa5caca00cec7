from __future__ import annotations

import json
from pathlib import Path

import pytest

from pushcast.model.errors import ConfigurationError, PushcastError
from pushcast.settle.letters import Filter
from pushcast.settle.manifest import Manifest
from pushcast.settle.redrive import dead_letter_topics
from unit.settle.test_letters import NOTES, SEND


def test_every_topic_with_dead_letters_is_looked_at_unless_some_are_named() -> None:
    every = dead_letter_topics(Filter())
    assert {SEND + ".dlq", NOTES + ".dlq", "push.retry.10s.v1.dlq"} <= set(every)
    assert dead_letter_topics(Filter(topics=frozenset([SEND]))) == [SEND + ".dlq"]
    with pytest.raises(PushcastError, match=r"push\.sent"):
        dead_letter_topics(Filter(topics=frozenset(["push.sent"])))


def test_a_manifest_remembers_letters_over_runs_in_few_words(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "redrive.json"
    manifest = Manifest(path)
    manifest.add("a.dlq", 3, [5, 4, 9])
    manifest.add("a.dlq", 3, [6, 4])
    manifest.ends["a", 3] = 17
    manifest.save()
    again = Manifest(path)
    assert [offset for offset in range(12) if again.holds("a.dlq", 3, offset)] == [4, 5, 6, 9]
    assert not again.holds("a.dlq", 2, 5)
    assert again.ends == {("a", 3): 17}
    assert json.loads(path.read_text())["done"] == {"a.dlq": {"3": [[4, 7], [9, 10]]}}


@pytest.mark.parametrize("text", ["", "{", '{"version": 9, "done": {}, "ends": {}}', '{"done": {}}'])
def test_a_file_that_is_no_manifest_is_refused_and_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "redrive.json"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=r"redrive\.json"):
        Manifest(path)
    assert path.read_text() == text
