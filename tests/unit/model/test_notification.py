from __future__ import annotations

import pytest

from pushcast.model.notification import Action, Content, LocalText

CONTENT = Content(
    title="Goal!",
    body="1:0",
    data={"match": "4711"},
    locales={"de": LocalText(title="Tor!"), "de-AT": LocalText(body="eins"), "zh_Hant": LocalText(title="進球")},
)


@pytest.mark.parametrize(
    ("locale", "variant"),
    [
        ("de", "de"),
        ("de-CH", "de"),
        ("de_CH", "de"),
        ("de-AT", "de-AT"),
        ("de_AT", "de-AT"),
        ("zh_Hant", "zh_Hant"),
        ("zh-Hant-TW", "zh_Hant"),
        ("DE-at", "de-AT"),
        ("fr-FR", None),
        ("", None),
        (None, None),
    ],
)
def test_a_locale_has_its_own_variant_or_its_language_s(locale: str | None, variant: str | None) -> None:
    assert CONTENT.variant(locale) == variant


def test_a_content_without_variants_has_none() -> None:
    assert Content(title="x").variant("de") is None


@pytest.mark.parametrize(
    ("variant", "title", "body"), [("de", "Tor!", "1:0"), ("de-AT", "Goal!", "eins"), (None, "Goal!", "1:0")]
)
def test_what_a_variant_does_not_say_is_the_notification_s(variant: str | None, title: str, body: str) -> None:
    assert CONTENT.of_variant(variant) == Content(title=title, body=body, data={"match": "4711"})


def test_a_variant_has_its_own_subtitle_image_and_titles_of_actions() -> None:
    """Rulings I.39."""
    actions = (Action("open", "Open", "https://example.com"), Action("mute", "Mute"))
    content = Content(
        title="Goal!",
        subtitle="Final",
        image="https://example.com/en.png",
        actions=actions,
        locales={
            "de": LocalText(subtitle="Endspiel", image="https://example.com/de.png", actions={"open": "Öffnen"}),
            "fr": LocalText(title="But !"),
        },
    )
    german, french = content.of_variant("de"), content.of_variant("fr")
    assert (german.title, german.subtitle, german.image) == ("Goal!", "Endspiel", "https://example.com/de.png")
    assert german.actions == (Action("open", "Öffnen", "https://example.com"), Action("mute", "Mute"))
    assert (french.title, french.subtitle, french.image) == ("But !", "Final", "https://example.com/en.png")
    assert french.actions == actions
