"""People whom a proxy has signed in."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from pushcast.config.doors import Console
from pushcast.console.proxy import TrustedProxy
from pushcast.wire.control.api_keys import ApiKey, Hash, Scope, encode_record
from twins.console import ConsoleRig, console, token_in
from twins.gateway import NOW_MS

KEY = "kkkkkkkk"
HEADER = "X-Forwarded-User"
ANNA = {HEADER: "anna@example.com"}


def _allow(rig: ConsoleRig, *, disabled: bool = False) -> None:
    scopes = (Scope.CONSOLE_VIEW, Scope.CONSOLE_OPERATE)
    rig.keyring.apply(
        KEY.encode(), encode_record(ApiKey(scopes, (Hash("0" * 64, NOW_MS),), label="sso", disabled=disabled))
    )


async def test_somebody_whom_the_proxy_names_is_signed_in_with_the_rights_of_its_key() -> None:
    async with console(proxy=TrustedProxy(HEADER, ["127.0.0.0/8"], KEY)) as rig, rig.browser() as client:
        _allow(rig)
        page = await client.get("/control", headers=ANNA)
        assert "anna@example.com" in page.text
        form = {"app": "news", "platform": "apns", "comment": "x", "_token": token_in(page.text)}
        assert (await client.post("/control/pause", data=form, headers=ANNA)).status_code == 303
        assert [(each.by, each.label) for each in rig.acted()] == [(KEY, "anna@example.com")]
        assert (await client.post("/send", data=form, headers=ANNA)).status_code == 403
        of_bob = await client.post("/control/pause", data=form, headers={HEADER: "bob@example.com"})
        assert of_bob.status_code == 403


async def test_the_header_of_another_host_is_not_read() -> None:
    async with console(proxy=TrustedProxy(HEADER, ["10.0.0.1"], KEY)) as rig, rig.browser() as client:
        _allow(rig)
        assert (await client.get("/control", headers=ANNA)).status_code == 303


async def test_without_the_header_or_with_a_key_that_is_disabled_nobody_is_signed_in() -> None:
    async with console(proxy=TrustedProxy(HEADER, ["127.0.0.1"], KEY)) as rig, rig.browser() as client:
        _allow(rig)
        assert (await client.get("/control")).status_code == 303
        _allow(rig, disabled=True)
        assert (await client.get("/control", headers=ANNA)).status_code == 303


@pytest.mark.parametrize("values", [[], [""], [" "], ["anna", "root"], ["a" * 201], ["a\x00b"]])
def test_a_proxy_that_says_nothing_or_two_things_names_nobody(values: list[str]) -> None:
    proxy = TrustedProxy(HEADER, ["127.0.0.1"], KEY)
    assert proxy.who("127.0.0.1", ["anna"]) == "anna"
    assert proxy.who("127.0.0.1", values) is None
    assert proxy.who("", ["anna"]) is None
    assert proxy.who("::1", ["anna"]) is None


def test_its_three_settings_belong_together() -> None:
    whole = {"trusted_header": HEADER, "trusted_addresses": ("10.0.0.0/8",), "trusted_key": KEY}
    assert Console.model_validate(whole).trusted_key == KEY
    for name in whole:
        with pytest.raises(ValidationError, match="belong together"):
            Console.model_validate({key: value for key, value in whole.items() if key != name})
    with pytest.raises(ValidationError):
        Console.model_validate(whole | {"trusted_addresses": ("proxy.example",)})
