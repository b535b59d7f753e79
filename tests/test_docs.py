"""The documentation is executed: its manifests compile, its commands run, and it names everything there is."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import write_docs
from _pytest.mark import ParameterSet

from doubles import warm
from doubles.reader import FENCE, PAGES, TOP, Block, Desk, blocks, commands, desk
from openclaw import adapters, bundle, cli, errors
from openclaw.cli import plan, why
from openclaw.commands import COMMANDS
from openclaw.control.document import TABLE
from openclaw.control.shapes import PROBLEMS
from openclaw.manifest.build import compile
from openclaw.manifest.builtins import BUILTINS
from openclaw.manifest.codes import CODES
from openclaw.manifest.folder import Folder, kind_of

LANGUAGES = {"yaml", "yml", "python", "console", "json", "text", ""}

BARE = {
    "agents/main.yaml": "name: M\ndescription: d\ndefault: true\ntools: []\npolicy: careful\n",
    "tools.yaml": "policies: {careful: {default: ask}}\n",
}
"""What a page's manifests are laid over."""

SET = {"HOOK_SECRET": "stand-in", "SHOP_TOKEN": "of-the-documentation-" * 2}
"""Variables without which the manifests of the documentation would be incomplete."""


ALL = blocks()
YAML = [block for block in ALL if block.language == "yaml"]
CONSOLE = [block for block in ALL if block.language == "console"]
JSON = [block for block in ALL if block.language == "json"]
FOLLOWED = "docs/tutorial.md"  # by tests/test_tutorial.py


# ── what it names ────────────────────────────────────────────────────────────────────────────────


def page(name: str) -> str:
    return (TOP / "docs" / name).read_text("utf-8")


def everything() -> str:
    return "\n".join(one.read_text("utf-8") for one in PAGES)


def names() -> Iterator[tuple[str, str, str]]:
    """All there is: what it is, how it is spelt, and the text that has to name it."""
    commands_ = page("commands.md")
    for name, parser in write_docs.parsers().items():
        _, begun, rest = commands_.partition(f"\n## {name}\n")
        yield "commands", f"## {name}\n", begun
        section = rest.partition("\n## ")[0]
        for sub, option in options(parser):
            part = section.partition(f"### {name} {sub}\n")[2].partition("\n### ")[0] if sub else section
            yield "options", f"{name} {sub} {option}", f"{name} {sub} {option}" if option in part else ""
    for command in COMMANDS:
        yield "slash commands", f"`/{command.name}", commands_
    for kind in bundle.KINDS:
        manifests = page("testing.md" if kind == "scenario" else "manifests.md")
        for key in sorted(set(keys(bundle.schema(kind)))):
            found = re.search(rf"`(?:\w+\.)*{re.escape(key)}`", manifests)
            yield "keys of manifests", f"{kind}: {key}", f"{kind}: {key}" if found else ""
    for code in CODES:
        yield "diagnostics", f"### `{code}`\n", page("diagnostics.md")
    for folder in ("channels", "providers", "tools", "stores", "doorbells"):
        for kind in adapters.kinds(folder):
            yield "kinds", f"`{kind}`", page("architecture.md").partition("<!-- begin kinds -->")[2]
    for route in TABLE:
        path = re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path)
        yield "routes", f"| `{route.method} {path}` |", page("http.md")
    for code in PROBLEMS:
        yield "problems", f"| `{code}` |", page("http.md")
    for name in sorted(variables()):
        yield "variables", f"`{name}`", commands_.partition("## Environment")[2].partition("\n## ")[0]
    for code in sorted(exit_codes()):
        yield "exit codes", f"| {code} |", commands_
    for name in BUILTINS:
        yield "tools", f"| `{name}` |", page("tools.md")
    for name in sorted(set(figures())):
        yield "figures", name, page("http.md")
    for file in PAGES:
        if file.parent.name == "docs" and file.name != "README.md":
            yield "pages", f"({file.name})", page("README.md")


def options(parser: Any, sub: str = "") -> Iterator[tuple[str, str]]:
    for action in parser._actions:
        if isinstance(action.choices, dict):
            for name, below in action.choices.items():
                yield name, f"openclaw {parser.prog.split()[-1]} {name}"
                yield from options(below, name)
        elif "--help" not in action.option_strings:
            yield from ((sub, f"`{option}" if option == "-k" else option) for option in action.option_strings)
            if isinstance(action.choices, list | tuple | set):
                yield from ((sub, str(choice)) for choice in action.choices)


def keys(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        properties = schema.get("properties", {})
        yield from properties
        for value in [*properties.values(), *schema.get("$defs", {}).values()]:
            yield from keys(value)


def code() -> Iterator[str]:
    """Every file of the runtime."""
    return (path.read_text("utf-8") for path in (TOP / "runtime").rglob("*.py"))


def variables() -> set[str]:
    """What is read of the environment: by the code, and by the project that ships."""
    prefixes = "OPENCLAW|ANTHROPIC|TELEGRAM|DISCORD|GITHUB|XDG|WATCHFILES"
    shape = re.compile(rf"""["']((?:{prefixes})_[A-Z_]*[A-Z]|NO_COLOR)["']""")
    found = {name for text in code() for name in shape.findall(text)}
    for manifest in TOP.glob("*.yaml"):
        found |= set(re.findall(r"^[^#\n]*\$\{([A-Z_]+)", manifest.read_text("utf-8"), re.MULTILINE))
    planted = {"OPENCLAW_TRIAL"}  # by the trial of the sandbox, where no command may see it
    return found - planted


def exit_codes() -> set[int]:
    found = {kind.exit_code for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "exit_code")}
    return found | {0, cli.BUG, cli.INTERRUPTED, why.DENIED, plan.WIDENS}


def figures() -> Iterator[str]:
    """Those for Prometheus, as they are served."""
    text = (TOP / "runtime" / "openclaw" / "control" / "metrics.py").read_text("utf-8")
    for kind, name in re.findall(r"""_(gauge|counter)\(\s*["'](\w+)["']""", text):
        yield f"`openclaw_{name}{'_total' if kind == 'counter' else ''}`"


def test_everything_there_is_is_documented() -> None:
    told = list(names())
    assert [f"{what}: {name}" for what, name, text in told if name not in text] == []
    counted = Counter(what for what, _, _ in told)
    assert counted["figures"] > 10 and counted["routes"] > 10 and counted["variables"] > 10  # it is seen what there is
    print(summary(counted))


def summary(counted: Counter[str]) -> str:
    ran = [command for block in CONSOLE if "skip" not in block.info for command in commands(block)]
    outputs = sum("output" in block.info for block in ALL)
    asserted = ", ".join(f"{count} {what}" for what, count in counted.items())
    return (
        f"{len(ALL)} blocks: {len(YAML)} of YAML validated, {len(JSON)} of JSON read, {len(ran)} commands run in "
        f"{len(CONSOLE)} blocks, {outputs} outputs compared; {counted.total()} names asserted: {asserted}"
    )


def test_what_is_derived_from_the_code_is_up_to_date() -> None:
    stale = [path.name for path, text in write_docs.pages().items() if path.read_text("utf-8") != text]
    assert stale == [], "run `make docs`"


def test_every_block_is_of_a_kind_that_is_checked() -> None:
    assert [str(block) for block in ALL if block.language not in LANGUAGES] == []
    assert [str(block) for block in YAML if not block.info] == [], "a YAML block names its file: ```yaml tools.yaml"
    skipped = [str(block) for block in CONSOLE if "skip" in block.info]
    assert len(skipped) <= 1, f"commands that are not run: {skipped}"


def test_links_lead_to_files_and_headings_that_are_there() -> None:
    lost = []
    for file in PAGES:
        for target in re.findall(r"(?:\]\(|src=\")([^)\s\"]+)[)\"]", FENCE.sub("", file.read_text("utf-8"))):
            if "://" in target:
                continue
            path, _, anchor = target.partition("#")
            there = file.parent / path if path else file
            if not there.is_file() or (anchor and anchor not in anchors(there)):
                lost.append(f"{file.relative_to(TOP)}: {target}")
    assert lost == []


@cache
def anchors(file: Path) -> frozenset[str]:
    """As GitHub makes them of headings."""
    found: Counter[str] = Counter()
    made = []
    for heading in re.findall(r"^#+ (.*)$", FENCE.sub("", file.read_text("utf-8")), re.MULTILINE):
        plain = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        made.append(plain if not found[plain] else f"{plain}-{found[plain]}")
        found[plain] += 1
    return frozenset(made)


def test_the_picture_says_what_the_text_beside_it_says_and_asks_nothing_of_a_network() -> None:
    picture = (TOP / "docs" / "images" / "session.svg").read_text("utf-8")
    told = ElementTree.fromstring(picture).find("{http://www.w3.org/2000/svg}desc")
    assert told is not None and told.text is not None
    text = (TOP / "README.md").read_text("utf-8").partition("<!-- begin picture -->\n")[2].partition("<!-- end -->")[0]
    assert text == f"```text\n{told.text}\n```\n", "run scripts/record_picture.py"
    assert re.findall(r"https?://|url\(|@import|<image|<script", picture) == ["http://"]  # the name of SVG itself
    assert "prefers-color-scheme: dark" in picture


# ── manifests ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("block", [block for block in YAML if block.page != FOLLOWED], ids=str)
def test_manifests_in_the_documentation_are_valid(tmp_path: Path, block: Block) -> None:
    """Laid over a bare project, beside the page's other files; `minimal` ones are a whole project by themselves."""
    minimal = "minimal" in block.info
    beside = [b for b in ALL if b.page == block.page and b.language in ("yaml", "python") and b.info]
    files = {} if minimal else dict(BARE)
    for other in [*reversed(beside), block]:
        if ("minimal" in other.info) is minimal:
            files[other.info[0]] = other.text
    assert kind_of(block.info[0]) or block.info[0].startswith("tests/scenarios/")  # which are judged by their suite
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    compiled = compile(
        Folder.read(tmp_path), environment=SET, importer=adapters.importer(tmp_path), today=datetime.now(UTC)
    )
    assert [f"{d.file}:{d.line}:{d.column}: {d.message} [{d.code}]" for d in compiled.diagnostics] == []
    assert compiled.snapshot


@pytest.mark.parametrize("block", JSON, ids=str)
def test_json_in_the_documentation_is_json(block: Block) -> None:
    json.loads(block.text)


# ── commands ─────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def started(tmp_path: Path) -> Desk:
    """A desk in a starter project."""
    found = desk(tmp_path)
    assert found.run("openclaw init").returncode == 0
    return found


RUN = [block for block in CONSOLE if block.page != FOLLOWED and not {"skip", "server"} & set(block.info)]
FIRST = {"README.md", "docs/getting-started.md"}
"""What a newcomer reads, which the fast tests follow; the other pages go by the same way."""


def in_time(page: str) -> ParameterSet:
    return pytest.param(page, marks=[] if page in FIRST else pytest.mark.slow)


@pytest.mark.parametrize("page", [in_time(page) for page in sorted({block.page for block in RUN})])
def test_commands_in_the_documentation_run(started: Desk, page: str) -> None:
    printed = ""
    for block in (block for block in ALL if block.page == page):
        if "output" in block.info:
            assert as_said(block.language, printed) == as_said(block.language, block.text), block
        if block not in RUN:
            continue
        assert commands(block), block
        for command in commands(block):
            if command.startswith("cd "):
                started, command = replace(started, folder=started.folder / command[3:]), "pwd"
            done = started.run(command)
            told = f"{block}: {command}\n{done.stdout}\n{done.stderr}"
            assert (done.returncode != 0) is ("fails" in block.info), told
            assert "Traceback" not in done.stderr, told
            printed = done.stdout


def as_said(language: str, text: str) -> Any:
    return json.loads(text) if language == "json" else text


@pytest.mark.parametrize("block", [block for block in CONSOLE if "server" in block.info], ids=str)
def test_requests_in_the_documentation_are_served(started: Desk, block: Block) -> None:
    if not shutil.which("curl"):
        pytest.skip("needs curl")
    for other in YAML:
        if other.page == block.page:
            (started.folder / other.info[0]).write_text(other.text, "utf-8")
    started.environment.update(OPENCLAW_HTTP_PORT=str(free_port()), OPENCLAW_HTTP_TOKEN="documented-" * 4, **SET)
    with serving(started):
        for command in commands(block):
            done = started.run(command.replace("curl -s", "curl -sS --fail-with-body --max-time 40"))
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
            assert done.stdout


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(desk: Desk) -> Iterator[None]:
    """A demo runtime on the desk's project, from the first answer of its port to its end."""
    command = [sys.executable, "-m", "openclaw", "run", "--demo"]
    with (desk.folder / "log").open("wb") as log:
        runtime = warm.Popen(
            command, cwd=desk.folder, env=desk.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + 30
        while not answers(int(desk.environment["OPENCLAW_HTTP_PORT"])):
            assert runtime.poll() is None and time.monotonic() < deadline, (desk.folder / "log").read_text()
            time.sleep(0.05)
        yield
    finally:
        runtime.terminate()
        assert runtime.wait(timeout=20) == 0, (desk.folder / "log").read_text()


def answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
