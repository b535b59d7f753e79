"""The file itself: what it is and how it is stored."""

from __future__ import annotations

from typing import Final

from openclaw.manifest.codes.code import Code
from openclaw.manifest.codes.sound import AGENT, TOOLS, channels

CODES: Final[dict[str, Code]] = {
    "file": Code(
        "A manifest is a regular, readable file; links that lead in a circle, pipes and folders are not.",
        unshown="It is told of what a file is, whatever stands in it: of a tools.yaml that is a folder, for example.",
    ),
    "file-name": Code(
        "Manifests are found by their names: agents/<id>.yaml, tools.yaml, channels.yaml and so on.",
        bad={"channel.yaml": "channels:\n  http: {kind: http}\n"},
        good=channels("channels:\n  http: {kind: http}\n"),
    ),
    "file-size": Code(
        "A manifest holds at most 1 MiB, and 60,000 keys and values.",
        bad={"tools.yaml": f"# {'x' * (1 << 20)}\n{TOOLS}"},
        good={"tools.yaml": f"# {'x' * 60}\n{TOOLS}"},
    ),
    "cut-off": Code(
        "A file does not end where the applied one went on with prohibitions, nor within a line of it.",
        unshown="It is told by a running runtime or at its start, of a save after which a file is gone or breaks off, "
        "so that ask and deny rules, approvers, owners, limits or part of what runs unasked are missing, or ends "
        "within a line of what was applied.",
    ),
    "encoding": Code(
        "Manifests are UTF-8 text without control characters.",
        bad={"agents/main.yaml": AGENT.replace("Jarvis", "Jar\x07vis")},
        good={"agents/main.yaml": AGENT.replace("Jarvis", "Järvis")},
    ),
    "empty": Code(
        "The file holds no manifest: it is empty, or everything in it is a comment.",
        bad={"heartbeats.yaml": "# to be written\n"},
        good={"heartbeats.yaml": "# to be written\nheartbeats: {}\n"},
    ),
}
