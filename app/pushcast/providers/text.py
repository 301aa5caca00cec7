"""The text a device shows."""

from __future__ import annotations

from pushcast.model.notification import Content


def text_for(content: Content, locale: str | None) -> tuple[str | None, str | None]:
    """(title, body) for a locale such as de-AT: its own variant, else its language's, else the notification's."""
    if locale is None or not content.locales:
        return content.title, content.body
    variant = content.locales.get(locale) or content.locales.get(locale.partition("-")[0])
    if variant is None:
        return content.title, content.body
    return (
        content.title if variant.title is None else variant.title,
        content.body if variant.body is None else variant.body,
    )
