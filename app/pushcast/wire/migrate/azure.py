"""Registrations of Azure Notification Hubs as device changes: a bulk export has one in XML on each line. Pure.

https://learn.microsoft.com/azure/notification-hubs/export-modify-registrations-bulk. A hub knows no user but what an
app has put into a tag (`user_tag` of the map file), and no last activity.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from xml.etree import ElementTree

from pushcast.model.words import Platform
from pushcast.wire.migrate.rows import FoundDevice, Import, Skipped, registration

#: What holds the token in each kind of registration; those with a template have the same.
_TOKENS: Final = {
    "Apple": ("DeviceToken", Platform.APNS),
    "Gcm": ("GcmRegistrationId", Platform.FCM),
    "FcmV1": ("FcmV1RegistrationId", Platform.FCM),
}
_SUFFIXES: Final = ("TemplateRegistrationDescription", "RegistrationDescription")
_INSTALLATION: Final = "$InstallationId:{"


def changes_of_line(line: str, how: Import) -> Iterator[FoundDevice]:
    """Of one registration."""
    found = _description(line)
    if found is None:
        yield Skipped.UNREADABLE
        return
    kind, fields = found
    if kind not in _TOKENS:
        yield Skipped.DEVICE_TYPE
        return
    name, platform = _TOKENS[kind]
    token, tags = fields.get(name, ""), [tag.strip() for tag in fields.get("Tags", "").split(",")]
    installation = next((tag[len(_INSTALLATION) : -1] for tag in tags if tag.startswith(_INSTALLATION)), "")
    device, prefix = installation or fields.get("RegistrationId", ""), how.names.user_tag
    user = next((tag[len(prefix) :] for tag in tags if prefix and tag.startswith(prefix)), None)
    if not token:
        yield Skipped.NO_TOKEN
    elif not device:
        yield Skipped.UNREADABLE
    else:
        own = [tag for tag in tags if not tag.startswith("$") and not (prefix and tag.startswith(prefix))]
        yield registration(how, user, device, platform.value, token, {"topics": how.names.topics_of(own)})


def _description(line: str) -> tuple[str, dict[str, str]] | None:
    """The kind of a registration and its fields; None: it is none. A document that declares anything is refused: an
    entity may stand for gigabytes."""
    if "<!" in line.replace("<![CDATA[", ""):
        return None
    try:
        root = ElementTree.fromstring(line)  # noqa: S314 - nothing is declared in it
    except ElementTree.ParseError:
        return None
    for element in root.iter():
        name = _local(element.tag)
        for suffix in _SUFFIXES:
            if name.endswith(suffix):
                fields = {_local(child.tag): (child.text or "").strip() for child in element}
                return name.removesuffix(suffix), fields
    return None


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
