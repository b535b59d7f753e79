"""Prints what an editor with the yaml-language-server shows of the manifests. From the tests folder:

    python -m editors.session [--server PROGRAM]

Without --server it is installed into a temporary folder, by npm.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from editors.editor import Editor, Missing, install
from editors.test_language_server import CASES, modeline, written
from openclaw import bundle
from openclaw.cli import main as openclaw


def show(editor: Editor, kind: str) -> None:
    case = CASES[kind]
    print(f"\n{case.file}\n  {modeline(kind).rstrip()}")
    _, at = written(editor, kind, "|")
    print(f"  keys at the top:  {_listed(editor.complete(case.file, at))}")
    _, at = written(editor, kind, case.values)
    print(f"  {case.values.splitlines()[-1].strip()}  ->  {_listed(editor.complete(case.file, at))}")
    name = next(iter(bundle.schema(kind)["properties"]))
    _, at = written(editor, kind, f"{name[0]}|{name[1:]}: x")
    told = " ".join(editor.hover(case.file, at).split("Source:")[0].split())
    print(f"  hover over `{name}`:  {told[:160]}")
    found, _ = written(editor, kind, "no_such_key: 1")
    for each in found:
        start = each["range"]["start"]
        print(f"  {start['line'] + 1}:{start['character'] + 1}  {each['message']}")


def _listed(labels: Iterable[str]) -> str:
    return ", ".join(labels)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--server", type=Path, metavar="PROGRAM", help="bin/yaml-language-server of an installed one")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        project, server = Path(folder, "project"), Path(folder, "server")
        server.mkdir()
        openclaw(["init", str(project)])
        try:
            program = args.server or install(server)
        except Missing as why:
            print(why, file=sys.stderr)
            return 1
        with Editor(program, project) as editor:
            for kind in bundle.KINDS:
                show(editor, kind)
    return 0


if __name__ == "__main__":
    sys.exit(main())
