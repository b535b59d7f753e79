"""No save loosens a permission by accident: half a file is refused, one that shrank is given time to become whole, and
what is gone takes no prohibition with it. The way on is always there, and said."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from doubles.house import AGENT, Hasty, Program, lived, project, until
from openclaw.app import App
from openclaw.reload import Attempt

ALLOWS = """\
tools:
  add: {python: "sums:add"}
policies:
  works:
    default: deny
    rules:
      - allow: [list_files, add]
      - {id: some, allow: write_file, paths: ["notes/**"]}
"""
RULES = """\
      - {id: never-key, deny: write_file, paths: ["**/*.key"], reason: keys stay}
      - {id: look-first, ask: write_file, paths: ["notes/plans/**"]}
"""
FILES = {"tools.yaml": ALLOWS + RULES, "agents/main.yaml": AGENT.replace("add]", "add, write_file]")}
NOBODY = "http://127.0.0.1:9"  # a model that is never asked


class Edited:
    """A running runtime, its project's files, and the attempts that saves lead to."""

    def __init__(self, root: Path, app: App, operator: Program) -> None:
        self.root, self.app, self.operator = root, app, operator

    def rules(self) -> set[str]:
        policy = self.app.supervisor.current.snapshot.policies["works"]
        return {rule.id for rule in policy.rules if rule.id is not None}

    async def save(self, file: str, text: str | None) -> Attempt:
        return await self.after(lambda: self.put(file, text))

    def put(self, file: str, text: str | None) -> None:
        if text is None:
            (self.root / file).unlink()
        else:
            (self.root / file).write_text(text)

    async def after(self, edit: Callable[[], object]) -> Attempt:
        known = len(self.app.reload.attempts)
        edit()
        await until(lambda: len(self.app.reload.attempts) > known, "an attempt")
        return self.app.reload.attempts[-1]


def in_a_runtime(tmp_path: Path, scene: Callable[[Edited], Awaitable[None]], files: Mapping[str, str] = FILES) -> None:
    async def whole() -> None:
        root = project(tmp_path / "project", NOBODY, files=files)
        async with lived(root, tmp_path / "state", clock=Hasty()) as (app, operator):
            await asyncio.wait_for(scene(Edited(root, app, operator)), 60)

    asyncio.run(whole())


def test_a_policy_that_is_cut_off_is_refused_and_the_place_and_the_way_on_are_told(tmp_path: Path) -> None:
    async def scene(live: Edited) -> None:
        attempt = await live.save("tools.yaml", ALLOWS)
        assert attempt.outcome == "refused" and live.rules() == {"some", "never-key", "look-first"}
        [said] = [each for each in attempt.diagnostics if each.severity == "error"]
        assert (said.code, said.file, said.line, said.column) == ("cut-off", "tools.yaml", 8, 59)
        assert "deny write_file, paths [**/*.key] (works/never-key, tools.yaml:9)" in said.message
        assert said.help is not None and "/api/reload" in said.help and "SIGHUP" in said.help
        asked = await live.operator.http.post("/api/reload")
        assert asked.json()["outcome"] == "applied" and live.rules() == {"some"}

    in_a_runtime(tmp_path, scene)


def test_a_file_that_says_where_it_ends_is_applied_although_it_says_less(tmp_path: Path) -> None:
    async def scene(live: Edited) -> None:
        assert (await live.save("tools.yaml", ALLOWS)).outcome == "refused"
        assert (await live.save("tools.yaml", ALLOWS + "# that is all\n")).outcome == "applied"
        assert live.rules() == {"some"}

    in_a_runtime(tmp_path, scene)
