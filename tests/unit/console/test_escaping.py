"""What others write shows as text, on every page; a browser says so, too, where there is one (tests/browser)."""

from __future__ import annotations

from html.parser import HTMLParser

from browser.hostile import ATTACK, WRITTEN, write_everywhere
from browser.scenes import OPTIONS, fill
from twins.console import console

#: What the templates are made of.
_TAGS = """
    html head meta title link script body a header nav form input span button main div h1 h2 h3 p section footer
    ul ol li dl dt dd b code pre br small table thead tbody tr th td time svg rect path line text desc
    figure figcaption details summary select option label circle tspan strong
"""
TAGS = frozenset(_TAGS.split())


class Page(HTMLParser):
    """Elements, attributes and texts of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.handlers: list[str] = []
        self.links: list[str] = []
        self.inline_scripts = 0
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        found = dict(attrs)
        self.handlers += [name for name in found if name.startswith("on")]
        self.links += [value for name in ("href", "src", "action") if (value := found.get(name)) is not None]
        self.inline_scripts += tag == "script" and not found.get("src")

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


async def test_c1_what_producers_and_apps_write_is_text_on_every_page() -> None:
    async with console(options=OPTIONS) as rig, rig.browser() as client:
        await fill(rig)
        write_everywhere(rig, ATTACK)
        await rig.signed_in(client, label=ATTACK[:200])
        for path in WRITTEN:
            answer = await client.get(path)
            assert answer.status_code == 200, path
            page = Page(answer.text)
            assert page.tags <= TAGS, path
            assert (page.handlers, page.inline_scripts) == ([], 0), path
            assert all(link.startswith(("/", "#")) for link in page.links), path
            assert "<script>document.title" in " ".join(page.texts), path


async def test_c1_also_in_the_stream_of_a_live_page() -> None:
    async with console() as rig, rig.browser() as client:
        await fill(rig)
        write_everywhere(rig, ATTACK)
        await rig.signed_in(client)
        async with client.stream("GET", "/live/") as answer:
            text = ""
            async for piece in answer.aiter_text():
                text += piece
                if "\n\n" in text:
                    break
    html = "\n".join(line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: "))
    page = Page(html)
    assert page.tags <= TAGS
    assert page.handlers == []
