"""Write a commented starter project into a folder.

Nothing that is there already is touched: the files that were kept are listed. A folder that holds the agents of another
project is refused. The copies of the schemas in schemas/ are what editors check the manifests against.
"""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from openclaw import __version__, bundle
from openclaw.cli import place
from openclaw.errors import OpenClawError, UsageError

FILES = ("tools.yaml", "channels.yaml", "heartbeats.yaml", "models.yaml", ".env.example")
ACTIONS = ".github/workflows/agents.yml"
IGNORED = ".env\n__pycache__/\n"
WORKFLOW = f"""\
# Checks the manifests and what tests/scenarios/ promises; more, and other servers: docs/ci.md of the runtime.
name: agents
on: [push, pull_request]

permissions:
  contents: read

env:
  # Where you have this runtime; no package index has it unless you put it there. Name your copy, and a tag or commit.
  OPENCLAW: git+https://github.com/OWNER/openclaw-runtime@v{__version__}

jobs:
  agents:
    runs-on: ubuntu-latest
    timeout-minutes: 10
    steps:
      - uses: actions/checkout@v4
        with: {{persist-credentials: false}}
      - uses: actions/setup-python@v5
        with: {{python-version: "3.12"}}
      - run: pip install --quiet "$OPENCLAW"
      - run: openclaw validate --strict --no-import --no-env --format github
      - run: openclaw test
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dir", nargs="?", metavar="DIR", help="the folder; it is made if it is not there")
    parser.add_argument(
        "--from",
        dest="example",
        choices=tuple(bundle.examples()),
        default="assistant",
        help="what to begin with: a personal assistant (the default), a team's bot with approvals, or a watcher of one "
        "machine with heartbeats",
    )


def run(args: argparse.Namespace) -> int:
    folder = args.project if args.dir is None else place(args.dir, "DIR")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is not a folder")
    files = dict(_files(bundle.examples()[args.example]))
    _refuse_another(folder, files)
    written: list[str] = []
    kept: list[str] = []
    for name, content in files.items():
        (written if _write(folder / name, content) else kept).append(name)
    print(f"Wrote {len(written)} files to {folder}" if written else f"Nothing to write in {folder}")
    if kept:
        print("Kept as they were: " + ", ".join(kept))
    if not _leaves_out(folder / ".gitignore"):
        print("Add .env to .gitignore: the key will stand there")
    print(_way_on(folder, written))
    return 0


def _refuse_another(folder: Path, names: Collection[str]) -> None:
    """Two projects in one folder would be neither."""
    there = {path.relative_to(folder).as_posix() for path in sorted((folder / "agents").glob("[!_]*.yaml"))}
    if there and not there & set(names):
        raise UsageError(f"{folder} holds another project, with {min(there)}; name an empty folder: openclaw init DIR")


def _leaves_out(ignored: Path) -> bool:
    """Whether Git takes no `.env`, as far as this file alone says."""
    with suppress(OSError, ValueError):
        return bool({".env", "/.env", ".env*", "*.env"} & set(ignored.read_text("utf-8").split()))
    return False


def _files(source: Path) -> Iterator[tuple[str, bytes]]:
    """Names inside the project, and contents."""
    agents = sorted(path for path in (source / "agents").rglob("*") if path.suffix in (".yaml", ".md"))
    scenarios = sorted((source / "tests" / "scenarios").glob("*.yaml"))
    named = [source / name for name in FILES]
    for path in (*agents, *(path for path in named if path.exists()), *sorted(source.glob("*.py")), *scenarios):
        yield path.relative_to(source).as_posix(), path.read_bytes()
    for kind in bundle.KINDS:
        schema = json.dumps(bundle.schema(kind), indent=2, ensure_ascii=False)
        yield f"schemas/{kind}.schema.json", f"{schema}\n".encode()
    yield ".gitignore", IGNORED.encode()
    yield ACTIONS, WORKFLOW.encode()


def _write(path: Path, content: bytes) -> bool:
    """False where something is there already."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb", buffering=0) as file:
            _fill(path, file, content)
    except FileExistsError:
        if path.exists() or path.is_symlink():
            return False
        raise OpenClawError(f"{path.parent} is in the way: it is not a folder") from None
    except OSError as error:
        raise OpenClawError(f"{path} cannot be written: {error.strerror}") from error
    return True


def _fill(path: Path, file: BinaryIO, content: bytes) -> None:
    """All of it, or no file: the next `init` would keep a part."""
    try:
        while content:
            content = content[file.write(content) :]
    except BaseException:
        path.unlink()
        raise


def _way_on(folder: Path, written: Collection[str]) -> str:
    here = "" if folder == Path.cwd() else f"cd {shlex.quote(str(folder))}\n  "
    later = f"\nBefore a push: say in {ACTIONS} where you have this runtime" if ACTIONS in written else ""
    return f"Next:\n  {here}openclaw validate\n  openclaw test\n  openclaw run --demo-if-no-key{later}"
