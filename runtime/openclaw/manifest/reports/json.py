"""For programs: a list of objects with everything a diagnostic holds, sorted by file, line and column."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict

from openclaw.manifest.diagnostic import Diagnostic
from openclaw.manifest.folder import Folder
from openclaw.manifest.reports import PLAIN, Look


def render(diagnostics: Iterable[Diagnostic], folder: Folder, look: Look = PLAIN) -> str:
    return json.dumps([asdict(each) for each in diagnostics], indent=2, ensure_ascii=False)
