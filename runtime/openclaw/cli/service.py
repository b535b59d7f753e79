"""Keep a runtime running for good, with systemd or launchd: install, uninstall, status, print.

`install` writes a unit for this project and state folder, switches it on and starts it; once more, it renews it. Where
there is no systemd it says so, prints the unit and ends with exit code 1, as it does where the service does not run
then. The unit holds no secret: keys and tokens stand in the project's .env, which the runtime reads itself; what only
this shell has set is named. `status` ends with exit code 1 where it does not run. With --system the unit is the
machine's, starts at boot, sees the system read-only, and runs as --run-as; that takes root.
"""

from __future__ import annotations

import argparse
import os
import pwd
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from openclaw.cli import _listing
from openclaw.cli._service_wanted import MARK, NAME, Wanted, unseen, unset
from openclaw.errors import OpenClawError, ProjectInvalid, UsageError

if TYPE_CHECKING:
    from openclaw.manifest.folder import Folder

_STATE = ".mini-openclaw"  # in a home folder


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    install = actions.add_parser("install", help="write the unit, switch it on and start it; or renew it")
    uninstall = actions.add_parser("uninstall", help="stop it and take the unit away; what it kept stays")
    status = actions.add_parser("status", help="whether it is installed, is up to date, and runs")
    shown = actions.add_parser("print", help="print the unit, and change nothing")
    for one in (install, uninstall, status, shown):
        one.add_argument(
            "--name", default="openclaw", metavar="NAME", help="of the unit: one for each runtime (default: openclaw)"
        )
        one.add_argument("--system", action="store_true", help="the machine's own, from boot on; takes root")
        one.add_argument("--run-as", metavar="USER", help="with --system: whom it runs as; not root")
    for one in (install, uninstall):
        one.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    status.add_argument("--json", action="store_true", help="as JSON")
    shown.add_argument("--kind", choices=("systemd", "launchd"), help="for which (default: this machine's)")


def run(args: argparse.Namespace) -> int:
    keeper = _keeper(getattr(args, "kind", None))
    if args.action == "uninstall":
        return _uninstall(keeper, _named(args), dry=args.dry_run)
    if args.action == "status":
        return _status(keeper, args)
    wanted, folder = _wanted(args)
    if args.action == "print":
        print(keeper.text(wanted, keeper.version()), end="")
        _note_unseen(folder, wanted)
        return 0
    return _install(keeper, wanted, folder, dry=args.dry_run)


def _keeper(kind: str | None) -> ModuleType:
    from openclaw.cli import _service_launchd, _service_systemd

    chosen = kind or ("launchd" if sys.platform == "darwin" else "systemd")
    return _service_launchd if chosen == "launchd" else _service_systemd


# ── what is wanted ───────────────────────────────────────────────────────────────────────────────


def _named(args: argparse.Namespace) -> Wanted:
    """Enough to take it away, also where the project is gone."""
    return Wanted(args.name, args.project, args.state, (args.state,), _user(args), args.system)


def _installed_for(keeper: ModuleType, args: argparse.Namespace) -> str | None:
    """Whom the machine's unit of this name runs as."""
    path: Path = keeper.place(_named(args))
    try:
        found: str | None = keeper.user_of(path.read_text("utf-8", "replace"))
    except OSError:
        return None
    return found


def _wanted(args: argparse.Namespace) -> tuple[Wanted, Folder]:
    from datetime import UTC, datetime

    from openclaw.manifest.build import compile
    from openclaw.manifest.folder import Folder

    project, user = args.project, _user(args)
    if not project.is_dir():
        raise UsageError(f"there is no project folder {project}; `openclaw init DIR` makes one")
    folder = Folder.read(project)
    compiled = compile(folder, environment=None, importer=None, today=datetime.now(UTC))
    if compiled.snapshot is None:
        raise ProjectInvalid(f"the project {project} has mistakes; `openclaw validate` explains them")
    home = _home(user)
    state = home / _STATE if args.state == Path("~").expanduser() / _STATE else args.state
    own = [agent.workspace for agent in compiled.snapshot.agents.values() if agent.workspace not in ("shared", "own")]
    elsewhere = [home / text[2:] if text.startswith("~/") else Path(text) for text in own]
    writable = tuple(dict.fromkeys([state, *elsewhere]))
    return Wanted(args.name, project, state, writable, user, args.system), folder


def _user(args: argparse.Namespace) -> str:
    if args.run_as and not args.system:
        raise UsageError("--run-as goes with --system: a user's own unit runs as that user")
    if args.run_as:
        known = _account(args.run_as)
        user, number = known.pw_name, known.pw_uid
    else:
        number = os.getuid()
        user = _own_name(number)
    if args.system and number == 0 and args.action in ("install", "print"):
        raise UsageError("name whom it runs as with --run-as USER: an agent that runs as root may do anything")
    return user


def _account(name: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(name)
    except (KeyError, ValueError):
        cure = f"; make one with `useradd --create-home {name}`" if NAME.fullmatch(name) else ""
        raise UsageError(f"--run-as: there is no user {name[:80]!a}{cure}") from None


def _own_name(number: int) -> str:
    """Of whoever runs this, as the system knows them, and not as the environment says."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _home(user: str) -> Path:
    if user == _own_name(os.getuid()):
        return Path("~").expanduser()
    home = Path(_account(user).pw_dir)
    if not home.is_dir():
        raise UsageError(f"--run-as: {user} has no home folder ({home}); choose a user who has one")
    return home


def _note_unseen(folder: Folder, wanted: Wanted) -> None:
    """The values are in no output, and in no unit."""
    if names := list(unseen(folder)):
        _listing.note(
            f"{', '.join(names)}: set in this shell, where no service sees it; put it into {folder.root}/.env"
        )
    if names := list(unset()):
        words = f"{', '.join(names)}: set in this shell, where no service sees it, and nothing for .env"
        _listing.note(f"{words}; docs/deployment.md says how to give it to one")
    file = wanted.project / ".env"
    if file.exists() and file.stat().st_mode & 0o077:
        _listing.note(f"others may read {file}: chmod 600 {shlex.quote(str(file))}")


# ── what is done ─────────────────────────────────────────────────────────────────────────────────


def _install(keeper: ModuleType, wanted: Wanted, folder: Folder, *, dry: bool) -> int:
    text, path = keeper.text(wanted, keeper.version()), keeper.place(wanted)
    if dry:
        print(f"would write {path}:\n\n{text}")
        for command in keeper.install(wanted):
            print(f"would run: {shlex.join(command)}")
        _note_unseen(folder, wanted)
        return 0
    if why := keeper.missing(wanted):
        _listing.note(f"{why}; this is what would be written to {path}")
        print(text, end="")
        return 1
    if wanted.system and os.geteuid() != 0:
        raise UsageError("--system writes where only root may: run it with sudo, or leave --system out")
    _refuse_foreign(path)
    if other := keeper.elsewhere(wanted):
        raise OpenClawError(f"there is a unit {wanted.name} already, {other}; choose another name with --name")
    if not wanted.system and os.geteuid() == 0:
        _listing.note("it runs as root, and so does whatever its agents may do; better: --system --run-as USER")
    for made in (*wanted.writable, wanted.log.parent):
        _make(made, wanted)
    if path.exists():
        keeper.leave(wanted)
    _write(path, text)
    print(f"wrote {path}")
    for command in keeper.install(wanted):
        _done(keeper, command)
    _note_unseen(folder, wanted)
    told = keeper.condition(wanted)
    runs: bool = keeper.runs(told)
    print(f"{wanted.name} is on and {'started' if runs else 'does not run'}: {told['state']}")
    for line in keeper.advice(wanted):
        print(line)
    return 0 if runs else 1


def _uninstall(keeper: ModuleType, wanted: Wanted, *, dry: bool) -> int:
    path = keeper.place(wanted)
    if not path.exists():
        _listing.note(f"there is no {path}; nothing was done")
        return 0
    _refuse_foreign(path)
    before, after = keeper.uninstall(wanted)
    if dry:
        told = [f"would run: {shlex.join(command)}" for command in before]
        told += [f"would remove {path}", *(f"would run: {shlex.join(command)}" for command in after)]
        print("\n".join(told))
        return 0
    if not keeper.missing(wanted):
        for command in before:
            _done(keeper, command, gone=True)
    path.unlink()
    print(f"removed {path}; {wanted.state} is as it was")
    if not keeper.missing(wanted):
        for command in after:
            _done(keeper, command)
    return 0


def _done(keeper: ModuleType, command: list[str], *, gone: bool = False) -> None:
    """`gone`: that there was nothing to stop is no failure."""
    done = keeper.run(command)
    if done.returncode and not (gone and keeper.gone(done)):
        said = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()[0]
        raise OpenClawError(f"`{shlex.join(command)}` failed: {said}")


def _refuse_foreign(path: Path) -> None:
    try:
        known = MARK in path.read_text("utf-8", "replace")
    except FileNotFoundError:
        return
    except OSError as error:
        raise OpenClawError(f"{path} cannot be read: {error.strerror}") from error
    if not known:
        raise OpenClawError(f"{path} was not {MARK}, and is left as it is; choose another name with --name")


def _make(folder: Path, wanted: Wanted) -> None:
    """A folder that is missing, for whoever the runtime runs as."""
    if folder.exists():
        return
    for path in (*reversed(folder.parents), folder):
        if not path.exists():
            path.mkdir(mode=0o700)
            if wanted.system:
                who = pwd.getpwnam(wanted.user)
                os.chown(path, who.pw_uid, who.pw_gid)


def _write(path: Path, text: str) -> None:
    """Whole or not at all."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.new")
        fresh.write_text(text, "utf-8")
        fresh.chmod(0o644)
        fresh.replace(path)
    except OSError as error:
        raise OpenClawError(f"{path} cannot be written: {(error.strerror or str(error)).lower()}") from error


# ── what there is ────────────────────────────────────────────────────────────────────────────────


def _status(keeper: ModuleType, args: argparse.Namespace) -> int:
    """Exit code 0 where it runs. What the project has to do with it is told where the project can be read."""
    if args.system and not args.run_as:
        args.run_as = _installed_for(keeper, args)
    named = _named(args)
    path = keeper.place(named)
    found: dict[str, object] = {
        "kind": keeper.KIND, "name": named.name, "file": str(path), "installed": path.is_file()
    }  # fmt: skip
    runs = False
    if path.is_file():
        found["current"] = _current(keeper, args, path)
    if why := keeper.missing(named):
        found["amiss"] = why
    elif path.is_file():
        told = keeper.condition(named)
        found, runs = found | told, keeper.runs(told)
    if args.json:
        _listing.as_json(found)
        return 0 if runs else 1
    print("\n".join(_rows({key: value for key, value in found.items() if value is not None})))
    if found.get("current") is False:
        _listing.note("the unit is not what would be written now; `openclaw service install` renews it")
    return 0 if runs else 1


def _current(keeper: ModuleType, args: argparse.Namespace, path: Path) -> bool | None:
    """Whether the unit is what would be written now; None where the project cannot be read for that."""
    try:
        wanted, _ = _wanted(args)
    except OpenClawError as error:
        _listing.note(f"whether the unit is up to date cannot be told: {error}")
        return None
    return bool(path.read_text("utf-8", "replace") == keeper.text(wanted, keeper.version()))


def _rows(found: dict[str, object]) -> Iterator[str]:
    for key, value in found.items():
        said = {True: "yes", False: "no"}.get(value, value) if isinstance(value, bool) else value
        yield f"{key + ':':<12} {_listing.quote_line(str(said))}".rstrip()
