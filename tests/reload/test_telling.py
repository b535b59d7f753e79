"""An edit is told everywhere alike: in the log, over HTTP, in figures, in `status` and at the terminal. What it loosens
is named rule by rule, and that disk and running differ is said until they do not."""

from __future__ import annotations

import asyncio
import logging
import os
import pty
import re
import sys
import termios
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pexpect
import pytest
from pexpect import fdpexpect

from doubles import warm
from doubles.house import AGENT, Process, Program, lived, project, until
from openclaw import cli
from openclaw.app import App
from openclaw.manifest.snapshot import Snapshot
from openclaw.permissions.policy import Condition, Effect, Policy, Rule
from openclaw.plan.lost import MOST, judged, lost
from openclaw.reading import read

NOBODY = "http://127.0.0.1:9"  # a model that is never asked
RULES = """\
policies:
  works:
    default: deny
    rules:
      - {id: read, allow: [read_file, list_files]}
      - {id: never-key, deny: read_file, paths: ["**/*.key", "**/*.pem"], reason: keys stay}
      - {id: look-first, ask: read_file, paths: ["plans/**"]}
"""
FILES = {"tools.yaml": RULES, "agents/main.yaml": AGENT.replace("add]", "read_file]")}


# ── rules ────────────────────────────────────────────────────────────────────────────────────────


def denies(*commands: str, id: str = "no", **more: Any) -> Rule:
    return Rule(Effect.DENY, ("run_command",), Condition(commands=commands), id=id, policy="works", **more)


ASKS = Rule(Effect.ASK, ("write_file",), id="ask", policy="works")
ALLOWS = Rule(Effect.ALLOW, ("run_command",), id="yes", policy="works")


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([denies("sudo")], [], ["deny run_command, commands [sudo] (works/no) removed"]),
        ([ASKS, ALLOWS], [ALLOWS], ["ask write_file (works/ask) removed"]),
        (
            [denies("sudo", "su")],
            [denies("sudo")],
            ["deny run_command, commands [sudo, su] (works/no) became deny run_command, commands [sudo]"],
        ),
        (
            [denies("sudo")],
            [replace(denies("sudo"), effect=Effect.ASK)],
            ["deny run_command, commands [sudo] (works/no) became ask run_command, commands [sudo]"],
        ),
        (
            [denies("sudo")],
            [denies("sudo", unless=Condition(sender=("eve",)))],
            [
                "deny run_command, commands [sudo] (works/no) became "
                "deny run_command, commands [sudo], except from [eve]"
            ],
        ),
        ([denies("sudo")], [denies("sudo", id="other", reason="renamed")], []),
        ([denies("sudo")], [ALLOWS, denies("sudo", "su")], []),
        ([denies("sudo")], [Rule(Effect.DENY, ("run_command", "write_file"), policy="works")], []),
        ([ASKS], [replace(ASKS, effect=Effect.DENY)], []),
        ([ALLOWS], [], []),
    ],
)
def test_a_rule_is_lost_where_nothing_else_forbids_as_much(
    tmp_path: Path, before: list[Rule], after: list[Rule], expected: list[str]
) -> None:
    old, new = with_rules(tmp_path, before), with_rules(tmp_path, after)
    assert lost(old, new) == tuple(f"policy works: {words}" for words in expected)


def test_what_joins_several_policies_is_told_once_and_of_agents_with_another_policy_what_they_lose(
    tmp_path: Path,
) -> None:
    old = with_rules(tmp_path, [denies("sudo")])
    loose = Policy("loose", (ALLOWS,))
    two = replace(old, policies={**old.policies, "more": replace(old.policies["works"], name="more"), "loose": loose})
    none = replace(two, policies={name: replace(each, rules=()) for name, each in two.policies.items()})
    rule = "deny run_command, commands [sudo] (works/no) removed"
    assert lost(two, none) == (f"policies works, more: {rule}",)
    moved = replace(two, agents={"main": replace(two.agents["main"], policy="loose")})
    assert lost(two, moved) == (
        f"agent main, policy works -> loose: {rule}",
        "agent main, policy works -> loose: default deny became ask",
    )


def test_what_an_agent_is_told_is_not_judged_and_a_tool_that_it_gets_is(tmp_path: Path) -> None:
    rules = [ALLOWS, Rule(Effect.ALLOW, ("read_file",), policy="works")]
    old, now = with_rules(tmp_path, rules), datetime(2026, 5, 4, tzinfo=UTC)
    main = old.agents["main"]
    assert judged(old, replace(old, agents={"main": replace(main, soul="Another.")}), now).widened == ()
    more = judged(old, replace(old, agents={"main": replace(main, tools=(*main.tools, "run_command"))}), now)
    assert len(more.widened) == 1 and "run_command (main): it has this tool now" in more.widened[0]
    less = judged(old, replace(old, agents={"main": replace(main, tools=())}), now)
    assert not less.widened and less.tightened


def test_of_very_many_decisions_that_widen_the_first_are_told_and_how_many_more_there_are(tmp_path: Path) -> None:
    old, now = with_rules(tmp_path, [ALLOWS]), datetime(2026, 5, 4, tzinfo=UTC)
    names = [f"p{number}" for number in range(MOST + 7)]
    many = replace(
        old,
        policies={**old.policies, **{name: Policy(name, (replace(ASKS, policy=name, id=name),)) for name in names}},
        agents={"main": old.agents["main"]}
        | {
            name: replace(old.agents["main"], id=name, default=False, policy=name, tools=("write_file",))
            for name in names
        },
    )
    new = replace(
        many,
        policies={
            name: replace(each, rules=(Rule(Effect.ALLOW, ("write_file",), policy=name),)) if name in names else each
            for name, each in many.policies.items()
        },
    )
    found = judged(many, new, now)
    assert len(found.widened) == MOST + 1 and re.search(r"^and [\d,]+ more like these$", found.widened[-1])
    assert len(lost(many, new)) == len(names)


def with_rules(tmp_path: Path, rules: list[Rule]) -> Snapshot:
    files = {"tools.yaml": "policies:\n  works: {default: deny}\n", "agents/main.yaml": FILES["agents/main.yaml"]}
    found = read(project(tmp_path / "project", NOBODY, files=files), datetime.now(UTC)).compiled.snapshot
    assert found is not None
    return replace(found, policies={"works": replace(found.policies["works"], rules=tuple(rules))})


# ── a running one ────────────────────────────────────────────────────────────────────────────────


def in_a_runtime(
    tmp_path: Path, scene: Callable[[App, Program, Path], Awaitable[None]], files: Mapping[str, str] = FILES
) -> None:
    async def whole() -> None:
        root = project(tmp_path / "project", NOBODY, files=files)
        async with lived(root, tmp_path / "state") as (app, operator):
            await asyncio.wait_for(scene(app, operator, root), 60)

    asyncio.run(whole())


async def after(app: App, edit: Callable[[], object]) -> dict[str, Any]:
    known = app.reload.attempts[-1].number if app.reload.attempts else 0
    edit()
    await until(lambda: app.reload.attempts and app.reload.attempts[-1].number > known, "the attempt")
    return app.reload.attempts[-1].as_json()


def test_a_lost_rule_is_a_warning_in_the_log_and_stands_in_the_attempt(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(app: App, operator: Program, root: Path) -> None:
        lines = RULES.splitlines(keepends=True)
        attempt = await after(app, lambda: (root / "tools.yaml").write_text("".join([*lines[:5], *lines[6:]])))
        assert (attempt["outcome"], attempt["tightened"]) == ("applied", [])
        words = "deny read_file, paths [**/*.key, **/*.pem] (works/never-key, tools.yaml:6) removed"
        assert attempt["widened"][0] == f"policy works: {words}"
        assert any(each.startswith("read_file (main): no longer denies") for each in attempt["widened"])
        assert re.fullmatch(r"reload 1 applied \(edit, \d+ ms\): policy works changed", attempt["words"])
        attempt = await after(app, lambda: (root / "tools.yaml").write_text(RULES))
        assert attempt["widened"] == [] and attempt["tightened"]

    in_a_runtime(tmp_path, scene)
    told = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert any(each.startswith("reload 1 WIDENS: policy works: deny read_file") for each in told)
    assert not any(each.startswith("reload 2 WIDENS") for each in told)


def test_that_disk_and_running_differ_is_said_everywhere_until_they_do_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(app: App, operator: Program, root: Path) -> None:
        async def status() -> str:
            command = ["-C", str(root), "--state", str(tmp_path / "state"), "status"]
            while await asyncio.to_thread(cli.main, command) != 0:
                capsys.readouterr()  # nothing listens for commands yet
            return " ".join(capsys.readouterr().out.split())

        assert "are not what runs" not in await status()
        manifest = root / "agents/main.yaml"
        whole = manifest.read_text()
        await after(app, lambda: manifest.write_text(whole.replace("policy: works", "policy: wroks")))
        refused = await operator.http.post("/api/reload")
        assert (refused.status_code, refused.json()["code"]) == (422, "reload_refused")
        attempt = refused.json()["attempt"]
        assert "error" in attempt["words"] and "agents/main.yaml:7:9: " in attempt["words"]
        differs = (await operator.http.get("/api/status")).json()["differs"]
        assert re.search(r"^the files on disk are not what runs: reload 2 refused at [\d: -]+ UTC: ", differs)
        assert differs.endswith("first error at agents/main.yaml:7:9") and "wroks" not in differs
        assert (await operator.http.get("/api/reload")).json()["differs"].endswith("agents/main.yaml:7:9")
        ready = await operator.http.get("/readyz")
        assert ready.status_code == 200 and "agents/main.yaml:7:9" in ready.json()["detail"]
        shown = await status()
        assert "edits the files on disk are not what runs: reload" in shown and "{" not in shown
        assert " reload 2 refused (request, " in shown and "in all: 2 refused" in shown
        undone = await after(app, lambda: manifest.write_text(whole))
        assert (undone["outcome"], undone["in_force"]) == ("unchanged", True)
        assert (await operator.http.get("/api/status")).json()["differs"] == ""
        assert "detail" not in (await operator.http.get("/readyz")).json()
        shown = await status()
        assert "are not what runs" not in shown and "nothing is different from what runs" in shown

    in_a_runtime(tmp_path, scene)
    heads = [each.getMessage() for each in caplog.records if each.name == "openclaw.reload"]
    assert re.match(r"reload 3 unchanged \(edit, \d+ ms\): nothing is different from what runs", heads[-1])
    assert any(re.match(r"reload 1 refused \(edit, \d+ ms\), nothing changed:\nagents/", each) for each in heads)


def test_a_secret_that_a_rule_quotes_is_not_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    secret = "a-secret-nobody-may-see"
    tools = RULES + '      - {id: quoted, deny: list_files, paths: ["notes/a-secret-nobody-may-see/**"]}\n'
    files = {**FILES, ".env": f"NOTES_TOKEN={secret}\n", "tools.yaml": tools}

    async def scene(app: App, operator: Program, root: Path) -> None:
        await after(app, lambda: (root / "tools.yaml").write_text(RULES + "# that is all\n"))
        told = await operator.http.get("/api/reload")
        assert "works/quoted" in told.text and secret not in told.text

    in_a_runtime(tmp_path, scene, files)
    assert "works/quoted" in caplog.text and secret not in caplog.text


# ── at the terminal ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_the_person_at_the_terminal_sees_each_edit_once(tmp_path: Path) -> None:
    root = project(tmp_path / "project", NOBODY, files={**FILES, "channels.yaml": "channels:\n  repl: {kind: repl}\n"})
    ours, its = pty.openpty()
    termios.tcsetwinsize(its, (40, 160))
    command = [sys.executable, "-m", "openclaw", "-C", str(root), "--state", str(tmp_path / "state"), "run", "--demo"]
    process = warm.Popen(
        command, stdin=its, stdout=its, stderr=its, env={**os.environ, "TERM": "xterm-256color"}, cwd=tmp_path
    )
    os.close(its)
    child: Any = fdpexpect.fdspawn(ours, encoding="utf-8", timeout=60)
    try:
        child.expect("leaves")
        (root / "agents/main.md").write_text("You are another.\n")
        child.expect(r"\x1b\[32mreload 1 applied \(edit, \d+ ms\): agent main changed")
        (root / "agents/main.yaml").write_text("name: [")
        child.expect(r"\x1b\[31mreload 2 refused \(edit, \d+ ms\): \d errors?, (the first )?at agents/main.yaml:1:")
        seen = child.before + child.after
        (root / "agents/main.yaml").write_text(FILES["agents/main.yaml"])
        child.expect("nothing is different from what runs")
        seen += child.before
        child.send("/quit\r")
        child.expect(pexpect.EOF)
        seen += child.before
        assert "nothing changed:" not in seen and "openclaw: reload" not in seen and "reload 2 applied" not in seen
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        child.close()


@pytest.mark.slow
def test_without_a_terminal_the_log_tells_it(tmp_path: Path) -> None:
    root = project(tmp_path / "project", NOBODY, files=FILES)

    async def scene(process: Process) -> None:
        await process.address()
        (root / "agents/main.md").write_text("You are another.\n")
        await until(lambda: "openclaw: reload 1 applied (edit, " in process.log, "the line")

    with Process(root, tmp_path / "state") as process:
        asyncio.run(asyncio.wait_for(scene(process), 60))


# ── the page ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_the_lines_that_the_page_shows_are_those_of_a_runtime(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The edits of docs/hot-reload.md, made in a project as `openclaw init` makes it."""
    page = (Path(__file__).parents[2] / "docs" / "hot-reload.md").read_text("utf-8")
    shown = [line for text in re.findall(r"```text log\n(.*?)```", page, re.DOTALL) for line in text.splitlines()]
    monkeypatch.setenv("OPENCLAW_HTTP_PORT", "0")
    root = tmp_path / "project"
    root.mkdir()
    assert cli.main(["-C", str(root), "init"]) == 0
    seen: list[str] = []

    async def whole() -> None:
        async with lived(root, tmp_path / "state", demo=True) as (app, _):

            async def save(file: str, edit: Callable[[str], str]) -> None:
                await after(app, lambda: (root / file).write_text(edit((root / file).read_text("utf-8")), "utf-8"))

            await save("agents/main.md", lambda text: text + "Be brief.\n")
            await save("tools.yaml", lambda text: text.replace("[sudo, su, doas, pkexec]", "[sudo, su]"))
            await save("tools.yaml", lambda text: text.replace("policies:\n", "polices:\n"))
            seen.append(app.reload.differs)
            await save("tools.yaml", lambda text: text.replace("polices:\n", "policies:\n"))

    asyncio.run(asyncio.wait_for(whole(), 60))
    logged = "\n".join(each.getMessage() for each in caplog.records if each.name == "openclaw.reload")
    assert sorted(map(plainly, shown)) == sorted(map(plainly, logged.splitlines()))
    [differs] = re.findall(r"```text differs\n(.*?)\n```", page)
    assert plainly(differs) == plainly(seen[0])


def plainly(line: str) -> str:
    """Whatever the time was, and however long it took."""
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d|\d+ ms", "*", line)
