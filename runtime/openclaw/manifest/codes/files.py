"""The file itself: what it is and how it is stored."""

from __future__ import annotations

from typing import Final

from openclaw.manifest.codes.code import Code

CODES: Final[dict[str, Code]] = {
    "file": Code(
        "A manifest is a regular, readable file; links that lead in a circle, pipes and folders are not.",
    ),
    "file-name": Code(
        "Manifests are found by their names: agents/<id>.yaml, tools.yaml, channels.yaml and so on.",
    ),
    "file-size": Code(
        "A manifest holds at most 1 MiB.",
    ),
    "encoding": Code(
        "Manifests are UTF-8 text without control characters.",
    ),
    "empty": Code(
        "The file holds no manifest: it is empty, or everything in it is a comment.",
    ),
}
