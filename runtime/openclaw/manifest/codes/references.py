"""Names that lead to nothing."""

from __future__ import annotations

from typing import Final

from openclaw.manifest.codes.code import Code

CODES: Final[dict[str, Code]] = {
    "unknown-tool": Code(
        "No tool of this name is built in or described in tools.yaml.",
    ),
    "unknown-policy": Code(
        "No policy of this name is described.",
    ),
    "unknown-model": Code(
        "The model is neither an alias in models.yaml nor an id this build knows.",
    ),
    "unknown-channel": Code(
        "No channel of this name is described in channels.yaml.",
    ),
    "unknown-agent": Code(
        "No agent has this id.",
    ),
    "unknown-person": Code(
        "No person of this name is described in channels.yaml.",
    ),
    "unknown-room": Code(
        "No room of this name is described in channels.yaml.",
    ),
    "unknown-heartbeat": Code(
        "No heartbeat of this name is described in heartbeats.yaml.",
    ),
    "unknown-group": Code(
        "No person belongs to this group.",
    ),
    "missing-file": Code(
        "A file that a manifest names is not there.",
    ),
    "address": Code(
        "An address is the channel's key, a colon and the channel's own id: telegram:12345.",
    ),
}
