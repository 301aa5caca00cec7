"""Names that FCM takes for a topic."""

from __future__ import annotations

import re
from typing import Final

# https://firebase.google.com/docs/reference/fcm/fcmtopics/rest/v1/projects.registrations.topicSubscriptions
_NAME: Final = re.compile(r"[a-zA-Z0-9\-_.~%]{1,900}")


def is_fcm_topic(name: str) -> bool:
    """Whether it is one."""
    return _NAME.fullmatch(name) is not None
