"""Which of a notification's texts a device gets: lookup as RFC 4647, section 3.4 has it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

#: (locales of a notification, locale of a device) whose answer is remembered: many devices share few locales.
_MAX_REMEMBERED = 4096


def canonical(tag: str) -> str:
    """The form in which two spellings of one tag are equal: tags are case-insensitive, and `_` stands for `-`.

    What iOS and POSIX append to a locale (`zh_TW@calendar=roc`, `de_AT.UTF-8`) says nothing about the language.
    """
    return tag.partition("@")[0].partition(".")[0].replace("_", "-").lower()


def collision(tags: Iterable[str]) -> tuple[str, str] | None:
    """Two spellings of one tag among `tags`; None when each is a tag of its own."""
    seen: dict[str, str] = {}
    for tag in tags:
        first = seen.setdefault(canonical(tag), tag)
        if first != tag:
            return first, tag
    return None


@lru_cache(_MAX_REMEMBERED)
def lookup(tags: tuple[str, ...], locale: str) -> str | None:
    """The one of `tags` that fits `locale` best, spelt as in `tags`; None when not even the language is there.

    Subtags fall away from the right, and a single letter falls with what follows it: `zh-Hant-TW`, `zh-Hant`, `zh`.
    `tags` holds no two spellings of one tag (`collision`).
    """
    spelt = {canonical(tag): tag for tag in tags}
    wanted = canonical(locale)
    while wanted:
        if wanted in spelt:
            return spelt[wanted]
        wanted = wanted.rpartition("-")[0]
        if wanted[-2:-1] == "-":
            wanted = wanted[:-2]
    return None
