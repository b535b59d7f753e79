"""The documentation is executed: its manifests compile, its commands run, and it names everything there is."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from doubles import warm
from openclaw import adapters, bundle
from openclaw.commands import COMMANDS
from openclaw.manifest.build import compile
from openclaw.manifest.codes import CODES
from openclaw.manifest.folder import Folder, kind_of

TOP = Path(__file__).resolve().parent.parent
PAGES = [TOP / "README.md", TOP / "CHANGELOG.md", *sorted((TOP / "docs").glob("*.md"))]
FENCE = re.compile(r"^```([^\s`]*) ?([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PLAIN = re.compile(r"""(?:[\w ./:=-]|'[^']*'|"[^"$`\\]*")*""")  # nothing in it is for a shell
LANGUAGES = {"yaml", "yml", "python", "console", "json", "text", ""}

BARE = {
    "agents/main.yaml": "name: M\ndescription: d\ndefault: true\ntools: []\npolicy: careful\n",
    "tools.yaml": "policies: {careful: {default: ask}}\n",
}
"""What a page's manifests are laid over."""

SET = {"HOOK_SECRET": "stand-in", "SHOP_TOKEN": "of-the-documentation-" * 2}
"""Variables without which the manifests of the documentation would be incomplete."""


@dataclass(frozen=True)
class Block:
    page: str
    line: int
    language: str
    info: tuple[str, ...]
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks() -> list[Block]:
    found = []
    for page in PAGES:
        text = page.read_text("utf-8")
        for match in FENCE.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            found.append(Block(page.name, line, match[1], tuple(match[2].split()), match[3]))
    return found


ALL = blocks()
YAML = [block for block in ALL if block.language == "yaml"]
CONSOLE = [block for block in ALL if block.language == "console"]


def everything() -> str:
    return "\n".join(page.read_text("utf-8") for page in PAGES)


def scripts() -> Any:
    spec = importlib.util.spec_from_file_location("write_docs", TOP / "scripts" / "write_docs.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["write_docs"] = module
    spec.loader.exec_module(module)
    return module


# ── what it names ────────────────────────────────────────────────────────────────────────────────


def test_what_is_derived_from_the_code_is_up_to_date() -> None:
    stale = [path.name for path, text in scripts().pages().items() if path.read_text("utf-8") != text]
    assert stale == [], "run `make docs`"


def test_every_block_is_of_a_kind_that_is_checked() -> None:
    print(f"{len(ALL)} blocks: {len(YAML)} of YAML, {len(CONSOLE)} of commands")
    assert [str(block) for block in ALL if block.language not in LANGUAGES] == []
    assert [str(block) for block in YAML if not block.info] == [], "a YAML block names its file: ```yaml tools.yaml"
    skipped = [str(block) for block in CONSOLE if "skip" in block.info]
    assert len(skipped) <= 1, f"commands that are not run: {skipped}"


def test_every_command_and_option_is_documented() -> None:
    page = (TOP / "docs" / "commands.md").read_text("utf-8")
    for name, parser in scripts().parsers().items():
        assert f"## {name}\n" in page
        section = page.partition(f"## {name}\n")[2]
        for option in options(parser):
            assert option in section, f"{name} {option}"
    for name in ("-C DIR", "--state DIR", "OPENCLAW_PROJECT", "OPENCLAW_STATE", "NO_COLOR"):
        assert name in page
    for command in COMMANDS:
        assert f"`/{command.name}" in page


def options(parser: Any) -> Iterator[str]:
    for action in parser._actions:
        if isinstance(action.choices, dict):
            for below in action.choices.values():
                yield from options(below)
        elif "--help" not in action.option_strings:
            yield from action.option_strings


def test_every_key_of_every_manifest_is_documented() -> None:
    for kind in bundle.KINDS:
        page = (TOP / "docs" / ("testing.md" if kind == "scenario" else "manifests.md")).read_text("utf-8")
        for key in keys(bundle.schema(kind)):
            assert re.search(rf"`(?:\w+\.)*{re.escape(key)}`", page), f"{kind}: {key}"


def keys(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        properties = schema.get("properties", {})
        yield from properties
        for value in [*properties.values(), *schema.get("$defs", {}).values()]:
            yield from keys(value)


def test_every_diagnostic_and_every_kind_is_documented() -> None:
    text = everything()
    assert [code for code in CODES if f"`{code}`" not in text] == []
    for folder in ("channels", "providers", "tools", "stores", "doorbells"):
        assert [kind for kind in adapters.kinds(folder) if f"`{kind}`" not in text] == []


def test_links_lead_to_files_that_are_there() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text("utf-8")):
            assert "://" in target or (page.parent / target).is_file(), f"{page.name}: {target}"


# ── manifests ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("block", YAML, ids=str)
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


@pytest.mark.parametrize("block", [block for block in ALL if block.language == "json"], ids=str)
def test_json_in_the_documentation_is_json(block: Block) -> None:
    json.loads(block.text)


# ── commands ─────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Desk:
    """A folder with a starter project, and a shell in which `openclaw` is this one."""

    folder: Path
    environment: dict[str, str]

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """A line of a shell, which is spared where the line is one plain command of ours."""
        if command.startswith("openclaw ") and PLAIN.fullmatch(command):
            start = [sys.executable, "-m", *shlex.split(command)]
            return warm.run(
                start, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, text=True, timeout=50
            )
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=50,
        )


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    programs = tmp_path / "programs"
    programs.mkdir()
    shim = programs / "openclaw"
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m openclaw "$@"\n')
    shim.chmod(0o755)
    names = {name: value for name, value in os.environ.items() if not name.startswith(("ANTHROPIC_", "OPENCLAW_"))}
    environment = {
        **names,
        "HOME": str(tmp_path),
        "OPENCLAW_STATE": str(tmp_path / "state"),
        "PATH": f"{programs}:{names['PATH']}",
    }
    found = Desk(tmp_path / "project", environment)
    found.folder.mkdir()
    assert found.run("openclaw init").returncode == 0
    return found


def commands(block: Block) -> list[str]:
    """The lines that begin with `$ `, each with those that a backslash joins to it."""
    joined = block.text.replace("\\\n", " ")
    return [line[2:] for line in joined.splitlines() if line.startswith("$ ")]


RUN = [block for block in CONSOLE if not {"skip", "server"} & set(block.info)]


@pytest.mark.parametrize("page", sorted({block.page for block in RUN}))
def test_commands_in_the_documentation_run(desk: Desk, page: str) -> None:
    printed = ""
    for block in (block for block in ALL if block.page == page):
        if "output" in block.info:
            assert as_said(block.language, printed) == as_said(block.language, block.text), block
        if block not in RUN:
            continue
        assert commands(block), block
        for command in commands(block):
            done = desk.run(command)
            told = f"{block}: {command}\n{done.stdout}\n{done.stderr}"
            assert (done.returncode != 0) is ("fails" in block.info), told
            assert "Traceback" not in done.stderr, told
            printed = done.stdout


def as_said(language: str, text: str) -> Any:
    return json.loads(text) if language == "json" else text


@pytest.mark.parametrize("block", [block for block in CONSOLE if "server" in block.info], ids=str)
def test_requests_in_the_documentation_are_served(desk: Desk, block: Block) -> None:
    if not shutil.which("curl"):
        pytest.skip("needs curl")
    for other in YAML:
        if other.page == block.page:
            (desk.folder / other.info[0]).write_text(other.text, "utf-8")
    desk.environment.update(OPENCLAW_HTTP_PORT=str(free_port()), OPENCLAW_HTTP_TOKEN="documented-" * 4, **SET)
    with serving(desk):
        for command in commands(block):
            done = desk.run(command.replace("curl -s", "curl -sS --fail-with-body --max-time 40"))
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
