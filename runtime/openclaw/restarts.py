"""What a running process cannot take up from an edit, because it was settled when it began. The one list of it.

Out of reach of every manifest are the project's and the state's folder, `--demo`, `--strict`, the environment of the
process, and libraries that were loaded. Everything that manifests say is taken up as it runs, but for what stands here.
"""

from __future__ import annotations

from openclaw.manifest.folder import Folder
from openclaw.manifest.snapshot import Snapshot
from openclaw.project import Options, wants_demo


def settled(options: Options, demo: bool, snapshot: Snapshot, folder: Folder) -> tuple[str, ...]:
    """What of a valid project waits for the next start, a sentence each. `demo`: whether the demo model answers."""
    if demo and not wants_demo(options, snapshot, folder):
        return ("there are credentials now, and the demo model answers until the runtime is started again",)
    return ()
