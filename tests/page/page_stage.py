"""The web page in a real browser, before a whole runtime whose model is the double of the Messages API.

`Stage` is one person with one tab. Its law: whatever a test does, the page logs no error, breaks none of its own
content security policy and asks no server but its own; `expects` names the complaints that a test provokes.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from playwright.async_api import Browser, Locator, Page, ViewportSize, async_playwright, expect

from doubles.desk import Desk
from doubles.house import TOKEN, lived, project
from doubles.http_house import Door
from doubles.listening import listening
from doubles.messages_server import MessagesServer
from openclaw.app import App
from openclaw.control import serve_at

CHROMIUM = next(
    (
        path
        for name in ("chromium", "chromium-browser", "google-chrome")
        for folder in os.get_exec_path()
        if (path := Path(folder) / name).exists()
    ),
    None,
)
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WIDE: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 360, "height": 740}
VIEWS = ("chat", "approvals", "sessions", "heartbeats", "memory", "status")

AGENTS = {
    "agents/main.yaml": """\
name: Jarvis
description: Answers questions
soul: main.md
default: true
model: smart
tools: [add, write_file, save_memory, memory_search]
policy: works
""",
    "agents/scout.yaml": """\
name: Scout
description: Finds things out
prefix: /research
model: smart
tools: []
policy: works
""",
    "agents/scout.md": "You find things out.\n",
    "tools.yaml": """\
tools:
  add: {python: "sums:add"}
policies:
  works:
    default: ask
    rules: [{allow: [add, save_memory, memory_search]}]
""",
    "channels.yaml": f"""\
channels:
  repl: {{kind: repl}}
  http:
    kind: http
    port: 0
    token: {TOKEN}
    tokens:
      reader: {{secret: reader-token-0123456789, scopes: [read]}}
      guest: {{secret: guest-token-0123456789, scopes: [chat]}}
""",
    "heartbeats.yaml": """\
heartbeats:
  morning: {cron: "30 7 * * *", prompt: Good morning, timezone: Europe/London}
  asleep: {cron: "@yearly", prompt: Happy new year, enabled: false}
""",
}
expect.set_options(timeout=15_000)  # the first turn of a process loads the model's library


@dataclass(slots=True)
class Stage:
    page: Page
    base: str
    root: Path
    state: Path
    model: MessagesServer
    app: App | None = None
    complaints: list[str] = field(default_factory=list)
    expected: tuple[str, ...] = ()

    def expects(self, *complaints: str) -> None:
        self.expected += complaints

    def unexpected(self) -> list[str]:
        return [one for one in self.complaints if not any(part in one for part in self.expected)]

    async def enter(self, token: str = TOKEN, view: str = "chat") -> None:
        """By the link, as `openclaw run` prints it; then to a view."""
        await self.page.goto(f"{self.base}/#token={token}")
        await self.page.wait_for_selector("#shell:not([hidden]) #view > *")
        if view != "chat":
            await self.show(view)

    async def show(self, view: str) -> None:
        await self.page.evaluate("view => { location.hash = `#/${view}` }", view)
        await self.page.wait_for_selector(f'.nav a[data-view="{view}"][aria-current="page"]')
        await self.page.wait_for_selector("#view .view :is(.card, .list, .empty, .log, .composer) >> visible=true")

    async def say(self, text: str) -> Locator:
        """Sends it, and gives the exchange that it began."""
        before = await self.page.locator(".exchange").count()
        await self.page.fill("#message", text)
        await self.page.keyboard.press("Enter")
        exchange = self.page.locator(".exchange").nth(before)
        await exchange.wait_for()
        return exchange

    async def answered(self, exchange: Locator) -> str:
        await exchange.and_(self.page.locator(":not(.busy)")).wait_for()
        return await exchange.locator(".answer").inner_text()

    async def ask(self, text: str) -> str:
        return await self.answered(await self.say(text))

    async def becomes(self, expression: str) -> None:
        """Waits until it is true in the page."""
        async with asyncio.timeout(15):
            look = f"const look = () => ({expression}) ? done() : requestAnimationFrame(look)"
            await self.page.evaluate(f"new Promise((done) => {{ {look}; look() }})")

    async def overflow(self) -> int:
        """By how many pixels something is wider than the window."""
        found: int = await self.page.evaluate(
            """() => Math.max(document.documentElement.scrollWidth - innerWidth, ...[...document.querySelectorAll(
               "#view, .scroller, .view, .log")].map((one) => one.scrollWidth - one.clientWidth))"""
        )
        return found


def watched(page: Page, base: str) -> list[str]:
    """Everything the browser complains about, and every request to somebody else."""
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(f"console: {said.text}") if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
    page.on("request", lambda one: None if one.url.startswith(base) else complaints.append(f"foreign: {one.url}"))
    return complaints


@asynccontextmanager
async def opened(
    browser: Browser,
    base: str,
    root: Path,
    state: Path,
    model: MessagesServer,
    app: App | None = None,
    *,
    size: ViewportSize = WIDE,
    **more: Any,
) -> AsyncIterator[Stage]:
    tab = await browser.new_context(viewport=size, **more)
    try:
        page = await tab.new_page()
        page.set_default_timeout(15_000)
        stage = Stage(page, base, root, state, model, app, watched(page, base))
        yield stage
        assert stage.unexpected() == [], stage.unexpected()
    finally:
        await tab.close()


@asynccontextmanager
async def staged(
    browser: Browser,
    folder: Path,
    model: MessagesServer,
    files: Mapping[str, str] | None = None,
    *,
    size: ViewportSize = WIDE,
    **more: Any,
) -> AsyncIterator[Stage]:
    """A tab before a whole runtime in this loop. `more` goes to the browser: color_scheme, reduced_motion."""
    root, state = project(folder / "project", model.url, files={**AGENTS, **(files or {})}), folder / "state"
    async with lived(root, state) as (app, _):
        [base] = await app.addresses()
        async with opened(browser, base, root, state, model, app, size=size, **more) as stage:
            yield stage


class Cable:
    """Between the page and its runtime, at another address of this machine: it can be cut, and mended."""

    def __init__(self, base: str) -> None:
        self._port = int(base.rpartition(":")[2])
        self.base = f"http://127.0.0.2:{self._port}"
        self._whole = True
        self._ends: set[asyncio.StreamWriter] = set()

    @asynccontextmanager
    async def laid(self) -> AsyncIterator[Self]:
        async with listening(self._joined, "127.0.0.2", self._port):
            try:
                yield self
            finally:
                self.cut()

    def cut(self) -> None:
        self._whole = False
        for end in self._ends:
            end.transport.abort()

    def mend(self) -> None:
        self._whole = True

    async def _joined(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._whole:
            writer.transport.abort()
            return
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        self._ends |= {writer, back}
        await asyncio.gather(self._carry(reader, back), self._carry(there, writer))
        self._ends -= {writer, back}

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await reader.read(1 << 16):
                writer.write(piece)
                await writer.drain()
        writer.close()


class Theatre:
    """One browser and one loop for the tests of a file; `play` runs a scene in it."""

    def __init__(self, runner: asyncio.Runner, browser: Browser) -> None:
        self._runner = runner
        self.browser = browser

    def play(
        self,
        folder: Path,
        scene: Callable[[Stage], Awaitable[None]],
        files: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        async def test() -> None:
            with MessagesServer(key="test-key") as model:
                async with staged(self.browser, folder, model, files, **more) as stage:
                    await scene(stage)
                assert model.violations == [], model.violations

        self._runner.run(test())

    def before(self, desk: Desk, scene: Callable[[Page, str], Awaitable[None]], **more: Any) -> None:
        """A tab before a desk instead of a runtime, and its address. `more` goes to the browser."""

        async def test() -> None:
            listener = socket.create_server(("127.0.0.1", 0))
            base = f"http://127.0.0.1:{listener.getsockname()[1]}"
            serving = asyncio.create_task(serve_at(listener, desk, desk, Door(), desk.clock, dict))
            tab = await self.browser.new_context(**{"viewport": WIDE, **more})
            try:
                page = await tab.new_page()
                page.set_default_timeout(15_000)
                complaints = watched(page, base)
                await scene(page, base)
                assert complaints == [], complaints
            finally:
                await tab.close()
                serving.cancel()
                await asyncio.gather(serving, return_exceptions=True)

        self._runner.run(test())

    def run(self, scene: Awaitable[None]) -> None:
        async def test() -> None:
            await scene

        self._runner.run(test())


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    assert CHROMIUM is not None
    async with async_playwright() as play:
        browser = await play.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()
