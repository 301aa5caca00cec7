"""What the fields of a notification's content may hold, whatever the platform. Each check names the field.

What one platform alone cannot take is its renderer's to refuse; here is what none could, and what contradicts itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from operator import attrgetter
from typing import Any, Final, NoReturn
from urllib.parse import urlsplit

from pushcast.model.errors import InvalidInput
from pushcast.model.notification import Action, Content, Options, Sound
from pushcast.model.overrides import OWNED, owned_key
from pushcast.model.words import Reason

#: Beyond it lies what JSON writers refuse (orjson: 254); nobody's payload is nested so deeply.
MAX_DEPTH: Final = 16
MAX_LINK_BYTES: Final = 2048
MAX_ACTIONS: Final = 10
MAX_TTL_SECONDS: Final = 2_419_200  # 28 days, the longest that FCM keeps
RESERVED_DATA_KEY: Final = "pc"
# FCM, FcmOptions.analytics_label.
_LABEL: Final = re.compile(r"[a-zA-Z0-9\-_.~%]{1,50}")
_INTEGERS: Final = range(-(2**63), 2**64)
#: Options that are texts, of which an empty one is absent.
_TEXTS: Final = ("collapse_id", "thread_id", "sound", "channel_id", "analytics_label")
_texts_of: Final = attrgetter(*_TEXTS)


def check_content(content: Content) -> None:
    """Raises InvalidInput."""
    if content.image is not None:
        _check_link(content.image, "image", https=True)
        if not content.shown:
            _refuse("image", "an image needs a title, subtitle or body beside it")
    if content.link is not None:
        _check_link(content.link, "link")
    for tag, text in content.locales.items():
        if text.image:
            _check_link(text.image, f"locales.{tag[:64]}.image", https=True)
    _check_actions(content.actions)
    for key, value in content.data.items():
        if key == RESERVED_DATA_KEY:
            raise InvalidInput(Reason.RESERVED_DATA_KEY, f"data: the key {key!r} is Pushcast's", f"data.{key}")
        if not isinstance(value, str):
            check_json(value, f"data.{key[:64]}")
    for platform, patch in content.platforms.items():
        if platform not in OWNED:
            _refuse(f"platforms.{platform[:64]}", f"is no platform; there are {', '.join(OWNED)}")
        owned = owned_key(platform, patch)
        if owned is not None:
            _refuse(f"platforms.{platform}.{owned[:128]}", "belongs to Pushcast and cannot be set by platforms")
        check_json(patch, f"platforms.{platform}")


def check_options(options: Options, content: Content) -> None:
    """Raises InvalidInput."""
    score, sound = options.relevance_score, options.sound
    if score is not None and not 0 <= score <= 1:
        _refuse("options.relevance_score", f"is {score}; 0 to 1")
    if options.analytics_label is not None and not _LABEL.fullmatch(options.analytics_label):
        _refuse("options.analytics_label", "takes 1 to 50 letters, digits and -_.~%")
    if isinstance(sound, Sound) and sound.volume is not None:
        if not 0 <= sound.volume <= 1:
            _refuse("options.sound.volume", f"is {sound.volume}; 0 to 1")
        if not sound.critical:
            _refuse("options.sound.volume", "only critical sounds have a volume: set critical")
    if options.ttl_seconds is not None and not 0 <= options.ttl_seconds <= MAX_TTL_SECONDS:
        _refuse("options.ttl_seconds", f"is {options.ttl_seconds}; 0 to {MAX_TTL_SECONDS}")
    if options.push_type == "background" and (content.shown or options.heard):
        _refuse("options.push_type", "background takes no title, subtitle, body, sound or badge")


def check_json(value: Any, field: str) -> None:
    """Raises InvalidInput for what no JSON text of a payload can hold: too deep, or an integer beyond 64 bits."""
    waiting = [(value, 1)]
    while waiting:
        item, depth = waiting.pop()
        if depth > MAX_DEPTH:
            _refuse(field, f"is nested more than {MAX_DEPTH} deep")
        if isinstance(item, dict):
            waiting += [(below, depth + 1) for below in item.values()]
        elif isinstance(item, list):
            waiting += [(below, depth + 1) for below in item]
        elif isinstance(item, int) and item not in _INTEGERS:
            _refuse(field, "has an integer of more than 64 bits")


def _check_link(text: str, field: str, *, https: bool = False) -> None:
    size = len(text.encode())
    if size > MAX_LINK_BYTES:
        _refuse(field, f"has {size} bytes; at most {MAX_LINK_BYTES}")
    if any(char <= " " or char == "\x7f" for char in text):
        _refuse(field, "has spaces or control characters")
    try:
        parts = urlsplit(text)
    except ValueError:
        _refuse(field, "is no URL")
    if not parts.scheme or (https and (parts.scheme != "https" or not parts.hostname)):
        _refuse(field, "must be an https URL" if https else "must be a URL with its scheme")


def _check_actions(actions: tuple[Action, ...]) -> None:
    if len(actions) > MAX_ACTIONS:
        _refuse("actions", f"has {len(actions)} entries; at most {MAX_ACTIONS}")
    seen: set[str] = set()
    for number, action in enumerate(actions):
        if not action.id or not action.title:
            _refuse(f"actions[{number}]", "needs an id and a title")
        if action.id in seen:
            _refuse(f"actions[{number}].id", "is there twice")
        seen.add(action.id)
        if action.link is not None:
            _check_link(action.link, f"actions[{number}].link")


def _refuse(field: str, problem: str) -> NoReturn:
    raise InvalidInput(Reason.INVALID_FIELD, f"{field} {problem}", field)


def without_empty(options: Options) -> Mapping[str, None]:
    """The texts of options that are empty, which is absent: as arguments of `structs.replace`."""
    texts = _texts_of(options)
    return {name: None for name, text in zip(_TEXTS, texts, strict=True) if text == ""} if "" in texts else {}
