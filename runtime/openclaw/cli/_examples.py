"""What a code's example is told: its files are written to a folder of their own and judged as any project is.

The only code they run is that of the examples themselves.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from openclaw.adapters import importer
from openclaw.manifest.build import compile_open
from openclaw.manifest.codes import sound
from openclaw.manifest.codes.code import Files
from openclaw.manifest.diagnostic import Diagnostic, arrange
from openclaw.manifest.folder import Folder
from openclaw.manifest.reports import PLAIN, Look, text


def told(files: Files) -> tuple[tuple[Diagnostic, ...], Folder]:
    """The diagnostics of an example over the sound project, and the folder with their lines."""
    with tempfile.TemporaryDirectory(prefix="openclaw-example-") as place:
        root = Path(place)
        for name, content in sound.over(files).items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(content, "utf-8", newline="")
        folder = Folder.read(root)
        compiled, project = compile_open(folder, environment={}, importer=importer(root), today=sound.TODAY)
        if not (root / "tests/scenarios").is_dir():
            return compiled.diagnostics, folder
        from openclaw.scenarios.check import check, own

        checked = check(project, own(folder))
        return arrange((*compiled.diagnostics, *checked.diagnostics)), checked.over(folder)


def printed(files: Files, look: Look = PLAIN) -> str:
    """The same as `openclaw validate` prints it."""
    return text.render(*told(files), look)
