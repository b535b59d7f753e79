"""What is said over HTTP of edits: attempts to apply them, and how disk and running differ. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from openclaw.control.notation import COUNT, NUMBER, TEXT, TIME, YES, Schema, any_, list_, object_, ref

_OUTCOMES = ("applied", "unchanged", "refused", "failed", "needs_restart")
DIFFERS: Final[Schema] = {
    **TEXT,
    "description": "How what is on disk differs from what runs, in one line; empty where it does not.",
}
COUNTED: Final[Schema] = {
    **object_(**dict.fromkeys(_OUTCOMES, COUNT)),
    "description": "Attempts since the start, by outcome.",
}

_ATTEMPT: Final[Mapping[str, Schema]] = {
    "number": COUNT,
    "trigger": {"enum": ["start", "edit", "request", "SIGHUP", "retry"]},
    "at": TIME,
    "seconds": {**NUMBER, "description": "From reading the files to having them in force."},
    "outcome": {
        "enum": [*_OUTCOMES],
        "description": "`refused`: the manifests have errors. `failed`: they are valid, and something could not be "
        "done, which is tried again. `needs_restart`: in force but for what `restart` says.",
    },
    "in_force": {**YES, "description": "What this attempt read is what runs, as far as it can."},
    "words": {**TEXT, "description": "All of it in one line, as the log has it."},
    "changes": {**list_(TEXT), "description": "What became different, in words."},
    "widened": {**list_(TEXT), "description": "Rules that were lost, and what is judged less strictly now."},
    "tightened": {**list_(TEXT), "description": "What is judged more strictly now."},
    "restart": {**list_(TEXT), "description": "What waits for the next start."},
    "error": TEXT,
}

RELOADS: Final[Mapping[str, Schema]] = {
    "Diagnostic": object_(
        code=TEXT,
        severity={"enum": ["error", "warning"]},
        file=TEXT,
        line=COUNT,
        column=COUNT,
        end_line=COUNT,
        end_column=COUNT,
        message=TEXT,
        help=any_(TEXT),
        related=list_(object_(file=TEXT, line=COUNT, column=COUNT, message=TEXT)),
    ),
    "AttemptInShort": object_(**_ATTEMPT),
    "Attempt": object_(
        **_ATTEMPT,
        diagnostics={**list_(ref("Diagnostic")), "description": "At most 100 of them, but in the answer to a request."},
        left_out={**COUNT, "description": "Errors beyond those."},
    ),
    "Reloads": object_(
        on_last_good={**YES, "description": "The project on disk is broken; what was applied last is running."},
        differs=DIFFERS,
        attempts={**list_(ref("Attempt")), "description": "Oldest first."},
    ),
}
