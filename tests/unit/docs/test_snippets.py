"""What the documents show is what the program takes: commands, configuration, programs (rulings I.37).

The blocks that need a running Pushcast are run by tests/flow/test_up.py.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer
import yaml

from pushcast.cli import COMMANDS, GROUPS, build
from pushcast.config.settings import Settings
from pushcast.wire.events.class_rules import ClassRule
from pushcast.wire.events.notifications import NotificationDecoder
from snippets import PAGES, Block, blocks, every

_PYTHON = every("python")
_SHELL = every("sh", "")


def commands(text: str) -> Iterator[list[str]]:
    """Every call of `pushcast` in a shell block, as arguments."""
    for line in text.replace("\\\n", " ").splitlines():
        for part in re.split(r"\||&&|;", line.split(" #")[0].partition(" > ")[0]):
            words = shlex.split(part) if part.count("'") % 2 == 0 and part.count('"') % 2 == 0 else part.split()
            while words and "=" in words[0]:
                words = words[1:]  # a variable for this command
            if words and words[0].rpartition("/")[2] == "pushcast":
                yield [word for word in words[1:] if word != "&"]


@pytest.fixture(scope="module")
def command_line() -> Any:
    """Typer has a click of its own, so the types of click's are not asked for."""
    return typer.main.get_command(build((*GROUPS, *COMMANDS)))


@pytest.mark.parametrize("block", [block for block in _SHELL if list(commands(block.text))], ids=str)
def test_each_command_takes_the_arguments_that_are_shown(block: Block, command_line: Any) -> None:
    for arguments in commands(block.text):
        command, rest = command_line, list(arguments)
        while hasattr(command, "commands"):
            assert rest, f"{arguments}: a verb is missing"
            if command.invoke_without_command and rest[0].startswith("--"):
                break
            assert rest[0] in command.commands, f"{arguments}: there is no {rest[0]}"
            command, rest = command.commands[rest[0]], rest[1:]
        command.make_context("pushcast", rest)  # raises for an option or a choice that there is not


def test_commands_named_in_the_text_exist(command_line: Any) -> None:
    """`pushcast dlq list|show` and the like, between backticks; a line may say what is not done yet."""
    wrong = []
    for page in PAGES:
        text = "\n".join(line for line in page.read_text().splitlines() if "not do yet" not in line)
        for named in re.findall(r"`pushcast ([a-z]+)((?: [a-z|…]+)?)", text):
            group = command_line.commands.get(named[0])
            if group is None:
                wrong.append(f"{page.name}: {named[0]}")
            elif hasattr(group, "commands") and named[1].strip(" …"):
                verbs = named[1].strip().replace("…", "").split("|")
                wrong += [f"{page.name}: {named[0]} {verb}" for verb in verbs if verb and verb not in group.commands]
    assert wrong == []


@pytest.mark.parametrize("block", _PYTHON, ids=str)
def test_python_programs_compile(block: Block) -> None:
    compile(block.text, str(block), "exec")


def test_the_configuration_of_the_readme_is_taken(tmp_path_factory: pytest.TempPathFactory) -> None:
    [block] = blocks(PAGES[0], "yaml")
    settings = Settings.model_validate(yaml.safe_load(block.text))
    assert settings.classes["breaking"].ttl_seconds == 3600
    assert settings.apps["news"].platforms() == ["apns", "fcm", "expo", "webpush"]


@pytest.mark.parametrize("language", ["python", "java"])
def test_the_events_of_the_readme_are_taken_with_its_configuration(language: str) -> None:
    """faults.md P2-9: they ended as silent dead letters in the README's own world."""
    [configuration], [program] = blocks(PAGES[0], "yaml"), blocks(PAGES[0], language)
    settings = Settings.model_validate(yaml.safe_load(configuration.text))
    rules = {name: ClassRule(rule.ttl_seconds * 1000) for name, rule in settings.classes.items()}
    shown = re.search(r"\{\s*\"id\".*?\}", program.text, re.DOTALL)
    assert shown is not None
    event = re.sub(r",\s*\}", "}", shown[0])
    NotificationDecoder(settings.apps, rules).decode("u1", event.encode(), 1_800_000_000_000)
