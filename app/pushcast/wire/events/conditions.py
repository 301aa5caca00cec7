"""FCM's condition text, `'a' in topics && !('b' in topics)`, as a tree.

FCM reads `&&` and `||` side by side from left to right, every programming language lets `&&` bind tighter. There is no
third reading here: such a text is refused until it has parentheses.
"""

from __future__ import annotations

import re
from typing import Final, NoReturn

from pushcast.model.audience import And, FollowedTopic, Node, Not, Or
from pushcast.model.errors import InvalidInput
from pushcast.model.words import Reason

MAX_TOPICS: Final = 64
MAX_TOPIC_BYTES: Final = 900
_FIELD: Final = "audience.condition"
_TOKEN = re.compile(r"""\s*(?:(&&|\|\||!|\(|\))|'([^']*)'|"([^"]*)"|([A-Za-z]+))""")


def parse_condition(text: str) -> Node:
    """Raises InvalidInput (invalid_field) naming what is wrong and where."""
    parser = _Parser(text)
    node = parser.expression(0)
    parser.end()
    return node


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._topics = 0
        self._next: tuple[str, str] | None = None
        self._advance()

    def _advance(self) -> None:
        match = _TOKEN.match(self._text, self._at)
        if match is None:
            if self._text[self._at :].strip():
                self._refuse("has a character that belongs to no condition")
            self._next = None
            return
        self._at = match.end()
        mark, single, double, word = match.groups()
        if mark is not None:
            self._next = (mark, mark)
        elif word is not None:
            self._next = ("word", word)
        else:
            self._next = ("name", single if single is not None else double)

    def _is(self, kind: str) -> bool:
        return self._next is not None and self._next[0] == kind

    def expression(self, level: int) -> Node:
        if level > MAX_TOPICS:
            self._refuse(f"has more than {MAX_TOPICS} parentheses within each other")
        nodes = [self._term(level)]
        operator = None
        while self._is("&&") or self._is("||"):
            found = "&&" if self._is("&&") else "||"
            if operator not in (None, found):
                self._refuse("has && and || side by side: add parentheses")
            operator = found
            self._advance()
            nodes.append(self._term(level))
        if operator is None:
            return nodes[0]
        return And(tuple(nodes)) if operator == "&&" else Or(tuple(nodes))

    def _term(self, level: int) -> Node:
        denied = False
        while self._is("!"):
            denied = not denied
            self._advance()
        if self._is("("):
            self._advance()
            node = self.expression(level + 1)
            if not self._is(")"):
                self._refuse("lacks a closing parenthesis")
            self._advance()
        else:
            node = self._topic()
        return Not(node) if denied else node

    def _topic(self) -> Node:
        if self._next is None or self._next[0] != "name":
            self._refuse("needs a topic in quotes: 'name' in topics")
        name = self._next[1]
        if not 1 <= len(name.encode()) <= MAX_TOPIC_BYTES:
            self._refuse(f"has a topic of {len(name.encode())} bytes; 1 to {MAX_TOPIC_BYTES}")
        self._advance()
        for word in ("in", "topics"):
            if self._next != ("word", word):
                self._refuse(f"needs `in topics` behind {name[:64]!r}")
            self._advance()
        self._topics += 1
        if self._topics > MAX_TOPICS:
            self._refuse(f"has more than {MAX_TOPICS} topics")
        return FollowedTopic(name)

    def end(self) -> None:
        if self._next is not None:
            self._refuse("goes on behind its end")

    def _refuse(self, problem: str) -> NoReturn:
        raise InvalidInput(Reason.INVALID_FIELD, f"{_FIELD} {problem} (at character {self._at})", _FIELD)
