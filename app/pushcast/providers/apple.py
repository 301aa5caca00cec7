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


def apple_fields(content: Content, options: Options) -> dict[str, Any]:
    """What `aps` has beside alert, sound, badge and thread, also of what FCM passes on to APNs."""
    fields: dict[str, Any] = {}
    if content.category:
        fields["category"] = content.category
    if options.interruption_level is not None:
        fields["interruption-level"] = options.interruption_level
    if options.relevance_score is not None:
        fields["relevance-score"] = options.relevance_score
    if options.mutable_content or content.image:  # without it no extension of the app could load the image
        fields["mutable-content"] = 1
    return fields
