"""What a running process cannot take up from an edit, because it was settled when it began. The one list of it.

Out of reach of every manifest are the project's and the state's folder, `--demo`, `--strict`, the environment of the
process, and libraries that were loaded. Everything that manifests say and the project's modules do is taken up as it
runs, but for what stands here.
"""

from __future__ import annotations

from pathlib import Path

from openclaw.loading import replaced
from openclaw.manifest.folder import Folder
from openclaw.manifest.snapshot import Snapshot
from openclaw.project import Options, wants_demo


def settled(options: Options, demo: bool, snapshot: Snapshot, folder: Folder) -> tuple[str, ...]:
    """What of a valid project waits for the next start, a sentence each. `demo`: whether the demo model answers."""
    found = [
        f"the compiled module {name} is another file now, and the one that was loaded runs until the next start"
        for name in replaced(Path(folder.root))
    ]
    if demo and not wants_demo(options, snapshot, folder):
        found.append("there are credentials now, and the demo model answers until the runtime is started again")
    return tuple(found)
