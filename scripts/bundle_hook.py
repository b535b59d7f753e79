"""What the build does beyond copying the package: the files from the top of the repository, and the README.

The schemas and the default project live at the top of the repository, once. A real wheel carries copies of them; an
editable install reads the repository's own (see openclaw/bundle.py). Law: the same sources give the same bytes, so only
the files of a project are taken, and nothing that an editor or a run has left beside them.
Whoever reads the README on the page of a package index is in no folder: links and pictures of the repository would lead
nowhere there, so the words stay and the links go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

PROJECT = (
    "agents",
    "tools.yaml",
    "channels.yaml",
    "heartbeats.yaml",
    "models.yaml",
    "desk_tools.py",
    "tests/scenarios",
    ".env.example",
)
KINDS = {".yaml", ".md", ".json"}  # of files that are taken out of folders
PAGES = "The pages that are named here come with the source distribution, in its folder `docs`."

_FENCE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
_HERE = r"(?!#|[\w+.-]+:)"  # the start of a place within the repository
_PICTURE = re.compile(rf"!\[[^\]]*\]\({_HERE}[^)]*\)\n*")
_TAG = re.compile(r"</?(?:picture|source|img)\b[^>]*>\n*")
_LINK = re.compile(rf"\[([^\]]*)\]\({_HERE}[^)]*\)")


class BundleHook(BuildHookInterface[Any]):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        top = Path(self.root)
        for path in taken(top / "schemas"):
            build_data["force_include"][str(path)] = f"openclaw/_bundle/{path.relative_to(top).as_posix()}"
        for name in PROJECT:
            for path in taken(top / name):
                build_data["force_include"][str(path)] = f"openclaw/_bundle/project/{path.relative_to(top).as_posix()}"


class ReadmeHook(MetadataHookInterface):
    def update(self, metadata: dict[str, Any]) -> None:
        text = standing_alone(Path(self.root, "README.md").read_text("utf-8"))
        metadata["readme"] = {"content-type": "text/markdown", "text": text}


def taken(path: Path) -> Iterator[Path]:
    """The file itself, or the files of a project that are in the folder."""
    if path.is_file():
        yield path
        return
    for each in sorted(path.rglob("*")):
        if each.suffix in KINDS and each.is_file() and not each.name.startswith("."):
            yield each


def standing_alone(readme: str) -> str:
    """The README without what is found only beside it."""
    parts = _FENCE.split(readme)
    cut = [_LINK.subn(r"\1", _TAG.sub("", _PICTURE.sub("", part))) for part in parts[::2]]
    parts[::2] = [text for text, _ in cut]
    whole = "".join(parts).rstrip()
    return f"{whole}\n\n{PAGES}\n" if any(times for _, times in cut) else f"{whole}\n"
