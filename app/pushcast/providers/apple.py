"""What an `aps` object holds, whoever brings it to APNs: we, FCM or Expo.

https://developer.apple.com/documentation/usernotifications/generating-a-remote-notification
"""

from __future__ import annotations

from typing import Any

from pushcast.model.notification import Content, Options, Sound


def apple_sound(sound: str | Sound) -> str | dict[str, Any]:
    """`aps.sound`, also of what FCM passes on to APNs."""
    if not isinstance(sound, Sound):
        return sound
    if not sound.critical:
        return sound.name
    return {"critical": 1, "name": sound.name} | ({} if sound.volume is None else {"volume": sound.volume})


def add_apple_fields(aps: dict[str, Any], content: Content, options: Options) -> None:
    """Adds what `aps` has beside alert, sound, badge and thread, also to what FCM passes on to APNs."""
    if content.category:
        aps["category"] = content.category
    if options.interruption_level is not None:
        aps["interruption-level"] = options.interruption_level
    if options.relevance_score is not None:
        aps["relevance-score"] = options.relevance_score
    if options.mutable_content or content.image:  # without it no extension of the app could load the image
        aps["mutable-content"] = 1
