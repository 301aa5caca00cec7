"""`python -m browser.screenshots FOLDER`, in tests/: every page at two widths and in two schemes, for docs/console/.

With the font Inter and with pngquant where they are installed (Debian: fonts-inter, pngquant), as those there were.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path

from browser.scenes import OPTIONS, PATHS, fill
from browser.visitor import NARROW, WIDE, visiting
from twins.console import console


async def take(folder: Path) -> list[Path]:
    """Writes the pictures and returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    taken = []
    async with console(options=OPTIONS) as rig:
        await fill(rig)
        for scheme in ("light", "dark"):
            for size in (WIDE, NARROW):
                async with visiting(rig, size=size, scheme=scheme) as visitor:
                    for name, path in PATHS.items():
                        if name == "now":
                            await visitor.sign_in()
                        await visitor.open(path)
                        if name == "dead-letters":
                            await visitor.page.locator("details").last.evaluate("it => (it.open = true)")
                        taken.append(folder / f"{name}-{size[0]}-{scheme}.png")
                        await visitor.page.screenshot(path=taken[-1], full_page=True)
    if (smaller := shutil.which("pngquant")) is not None:
        subprocess.run([smaller, "--force", "--ext", ".png", "--strip", "160", *taken], check=True)
    return taken


if __name__ == "__main__":
    asyncio.run(take(Path(sys.argv[1])))
