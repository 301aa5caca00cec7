"""Fenced blocks of the documents, for tests that run them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
#: Written for people: at the root, in the documents and beside what they are about.
PAGES = (
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CODE_OF_CONDUCT.md")),
    *(page for folder in ("docs", "examples", "deploy") for page in sorted((ROOT / folder).rglob("*.md"))),
)
#: Those, and what grows or is made by a program.
EVERY_PAGE = (*PAGES, ROOT / "CHANGELOG.md", ROOT / "topology" / "GRAPH.md")
_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: where it stands, what it says it is written in, its text."""

    page: str  # below the root of the repository
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: Path, *languages: str) -> list[Block]:
    """Those in these languages, in order; without one, all."""
    text = page.read_text()
    return [
        Block(str(page.relative_to(ROOT)), text.count("\n", 0, found.start()) + 1, found[1], found[2])
        for found in _FENCED.finditer(text)
        if not languages or found[1] in languages
    ]


def every(*languages: str) -> list[Block]:
    """Of all pages."""
    return [block for page in PAGES for block in blocks(page, *languages)]
