"""Which of several language tags fits a device."""

from __future__ import annotations

import pytest

from pushcast.model.locales import collision, lookup

TAGS = ("zh-Hant", "zh-Hans", "sr-Latn", "de-AT", "de", "en", "pt_BR")


@pytest.mark.parametrize(
    ("locale", "tag"),
    [
        ("de", "de"),
        ("de-CH", "de"),
        ("de_AT", "de-AT"),
        ("DE-AT", "de-AT"),
        ("De", "de"),
        ("zh-Hant-TW", "zh-Hant"),
        ("zh_Hant_TW", "zh-Hant"),
        ("zh-Hans-CN", "zh-Hans"),
        ("ZH-HANT", "zh-Hant"),
        ("sr-Latn-RS", "sr-Latn"),
        ("pt-br", "pt_BR"),
        ("en-GB-oxendict", "en"),
        ("de-AT-x-phone", "de-AT"),
        ("de-AT-u-co-phonebk", "de-AT"),
        ("de_AT@currency=EUR", "de-AT"),
        ("de_AT.UTF-8", "de-AT"),
    ],
)
def test_subtags_fall_from_the_right_until_a_tag_fits(locale: str, tag: str) -> None:
    """Reproduction 5.7: zh-Hant-TW gets the text of zh-Hant."""
    assert lookup(TAGS, locale) == tag


@pytest.mark.parametrize("locale", ["zh-TW", "zh", "sr-RS", "pt", "fr-FR", "d", "", "-", "x-de", "*"])
def test_a_locale_whose_tag_is_not_there_gets_none(locale: str) -> None:
    assert lookup(TAGS, locale) is None


def test_a_single_letter_falls_with_what_follows_it() -> None:
    assert lookup(("de-x", "de"), "de-x-phone") == "de"


@pytest.mark.parametrize(
    ("tags", "twice"),
    [
        (["de-AT", "de_at"], ("de-AT", "de_at")),
        (["en", "zh_Hant", "ZH-hant"], ("zh_Hant", "ZH-hant")),
        (["de-AT", "de", "de-DE"], None),
        ([], None),
    ],
)
def test_two_spellings_of_one_tag_are_found(tags: list[str], twice: tuple[str, str] | None) -> None:
    assert collision(tags) == twice
