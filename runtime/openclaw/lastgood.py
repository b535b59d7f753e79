"""The manifests that were applied last, kept in the state folder, so that a start on a broken project can run them.

Its law: what is kept is whole, or what was kept before is there; no secret is among it. Knows nothing of what is done
with it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from openclaw.errors import StateError
from openclaw.manifest.folder import Folder
from openclaw.names import file_name


def last_good(state: Path, root: Path) -> Path:
    """Where the manifests of this project that were applied last are kept."""
    place = state / "last-good" / file_name(str(root))
    old = _old(place)
    return old if old.exists() and not place.exists() else place  # a crash came between the two renames of `keep`


def keep(state: Path, root: Path, folder: Folder) -> None:
    """Puts the applied files aside, whole: new beside old, then swapped. .env is not copied: it holds secrets."""
    place = state / "last-good" / file_name(str(root))
    try:
        _keep(place, folder)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise StateError(f"what was applied cannot be kept in {place}: {why}; mend it, or move it aside") from error


def _old(place: Path) -> Path:
    return place.with_name(f"{place.name}.old")


def _keep(place: Path, folder: Folder) -> None:
    fresh, old = place.with_name(f"{place.name}.new"), _old(place)
    shutil.rmtree(fresh, ignore_errors=True)
    for name, content in _files(folder):
        path = fresh / name
        _make(path.parent)
        path.write_bytes(content)
        path.chmod(0o600)
    if place.exists():
        shutil.rmtree(old, ignore_errors=True)
        place.rename(old)
    fresh.rename(place)
    shutil.rmtree(old, ignore_errors=True)


def _make(folder: Path) -> None:
    """The folder and what is missing above it, each for this user alone."""
    for each in reversed([each for each in (folder, *folder.parents) if not each.exists()]):
        each.mkdir(mode=0o700, exist_ok=True)


def _files(folder: Folder) -> Iterable[tuple[str, bytes]]:
    named = {name: content for name, content in folder.more.items() if content is not None}
    for name, content in {**named, **folder.files}.items():
        inside = not Path(name).is_absolute() and ".." not in Path(name).parts
        if inside and name != ".env":
            yield name, content
