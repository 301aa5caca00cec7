"""A headless Chromium that visits a console, and what it must never see: an error, or a breach of the policy."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from twins.console import OPERATOR, ConsoleRig

#: Debian's name, then others'. PUSHCAST_TEST_CHROMIUM names another.
NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WIDE: Final = (1440, 900)
NARROW: Final = (390, 844)


def chromium() -> str:
    """Where it is. Skips the test by name where there is none."""
    found = os.environ.get("PUSHCAST_TEST_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("no chromium on the path (Debian: chromium): the console is not seen by a browser")
    return found


@dataclass
class Visitor:
    """A tab, and what its browser complained of."""

    page: Any
    rig: ConsoleRig
    complaints: list[str] = field(default_factory=list)

    async def open(self, path: str) -> None:
        """Goes to a page of the console."""
        await self.page.goto(f"http://127.0.0.1:{self.rig.console.port}{path}")

    async def sign_in(self, *scopes: Any) -> None:
        """By the form, with a new secret of anna's key."""
        await self.open("/sign-in")
        await self.page.fill("#key", self.rig.key(*(scopes or OPERATOR), key_id="k7Qm2xA9", label="anna"))
        await self.page.get_by_role("button", name="Sign in").click()
        await self.page.wait_for_url("**/")

    def complained(self, message: Any) -> None:
        """Keeps errors; the icon of a page that is not there is none of ours."""
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)


@contextlib.asynccontextmanager
async def visiting(
    rig: ConsoleRig, *, size: tuple[int, int] = WIDE, scheme: str = "light", javascript: bool = True
) -> AsyncIterator[Visitor]:
    """A browser with a profile of its own."""
    playwright = pytest.importorskip(
        "playwright.async_api", reason="playwright is not installed: no browser test is run"
    )
    async with playwright.async_playwright() as tool:
        browser = await tool.chromium.launch(executable_path=chromium(), args=list(ARGUMENTS))
        try:
            context = await browser.new_context(
                viewport={"width": size[0], "height": size[1]},
                color_scheme=scheme,
                java_script_enabled=javascript,
                reduced_motion="reduce",
            )
            context.set_default_timeout(15_000)
            page = await context.new_page()
            visitor = Visitor(page, rig)
            page.on("console", visitor.complained)
            page.on("pageerror", lambda error: visitor.complaints.append(str(error)))
            yield visitor
        finally:
            await browser.close()
