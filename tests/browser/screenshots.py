"""`python -m browser.screenshots FOLDER`, in tests/: every page at two widths and in two schemes, for docs/console/.

With the font Inter and with pngquant where they are installed (Debian: fonts-inter, pngquant), as those there were.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

from browser.scenes import OPTIONS, PATHS, fill
from browser.visitor import NARROW, WIDE, Visitor, visiting
from twins.console import console


async def compose(visitor: Visitor) -> None:
    """Writes a notification in two languages, and checks it."""
    page = visitor.page
    await page.get_by_label("User id").fill("u-1042")
    await page.get_by_label("App", exact=True).select_option("news")
    await page.get_by_label("Title", exact=True).fill("Goal!")
    await page.get_by_label("Body", exact=True).fill("1:0 in the 88th minute. The stadium is on its feet.")
    await page.get_by_text("In other languages").click()
    await page.get_by_label("Locale").first.fill("de")
    await page.get_by_label("Its title").first.fill("Tor!")
    await page.get_by_label("Its body").first.fill("1:0 in der 88. Minute.")
    await page.get_by_role("button", name="Check").click()
    await page.locator(".phone.apns").first.wait_for()


async def take(folder: Path, names: Collection[str] = ()) -> list[Path]:
    """Writes the pictures, of all pages or of these, and returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    taken = []
    async with console(options=OPTIONS) as rig:
        await fill(rig)
        for scheme in ("light", "dark"):
            for size in (WIDE, NARROW):
                async with visiting(rig, size=size, scheme=scheme) as visitor:
                    for name, path in {**PATHS, "composed": "/send"}.items():
                        if name == "now":
                            await visitor.sign_in()
                        if names and name not in names:
                            continue
                        await visitor.open(path)
                        if name == "composed":
                            await compose(visitor)
                        if name == "dead-letters":
                            await visitor.page.locator(".letters > li > details").last.evaluate(
                                "it => (it.open = true)"
                            )
                        taken.append(folder / f"{name}-{size[0]}-{scheme}.png")
                        await visitor.page.screenshot(path=taken[-1], full_page=True)
    if (smaller := shutil.which("pngquant")) is not None:
        subprocess.run([smaller, "--force", "--ext", ".png", "--strip", "160", *taken], check=True)
    return taken


if __name__ == "__main__":
    asyncio.run(take(Path(sys.argv[1]), sys.argv[2:]))
