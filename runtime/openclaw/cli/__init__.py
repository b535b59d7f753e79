"""The command line: finds the command, reads its arguments, turns errors into exit codes.

One file is one command: its first docstring line is its help, `arguments` describes its options, `run` does
the work. A command is imported when it is chosen and not before, so that `--help` and `validate` stay quick.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import io
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from openclaw import __version__
from openclaw.adapters import command, commands
from openclaw.errors import OpenClawError, UsageError

BUG = 70
INTERRUPTED = 130
USUAL_STATE = "~/.mini-openclaw"

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_GLOBAL = ("-C", "--state", "-h", "--help", "--version", "-V")
_DESCRIPTION = """\
openclaw [-C DIR] [--state DIR] [COMMAND] [OPTION...]

Agents described in YAML, validated, and run. Without a COMMAND: run.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code; never raises."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    _open_closed_streams()
    _write_utf8()
    try:
        return _main(arguments)
    except OpenClawError as error:
        print(f"openclaw: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has left; there is nobody to complain to, also not at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except SystemExit as end:  # argparse: 0 after --help, 2 after wrong arguments
        return end.code if isinstance(end.code, int) else 2
    except OSError as error:
        return _full(error) if error.errno in _NO_ROOM else _bug(arguments)
    except Exception:
        return _bug(arguments)


def spoken(argument: str) -> str:
    """An argument that is text and no path, as it was meant: UTF-8, whatever the locale makes of its bytes."""
    return os.fsencode(argument).decode("utf-8", "replace")


def _open_closed_streams() -> None:
    """A closed standard stream becomes /dev/null: else the next file or socket that is opened, such as the state's
    database, would get its number, and with it what is meant for the reader."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def _write_utf8() -> None:
    """As files and pipes are written, so that no locale makes an answer a mistake."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def _full(error: OSError) -> int:
    """The disk, or what stands behind standard output, takes no more: nobody's bug."""
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left unwritten fails no more at exit
    where = f" ({error.filename})" if error.filename else ""
    print(f"openclaw: {(error.strerror or str(error)).lower()}{where}", file=sys.stderr)
    return 1


def _main(arguments: list[str]) -> int:
    options, rest = _global_options(arguments)
    if options.help:
        print(_help(), end="")
        return 0
    if options.version:
        print(f"openclaw {__version__}")
        return 0
    if rest and rest[0].startswith("-") and (after := next((each for each in rest if each in commands()), None)):
        raise UsageError(f"{rest[0]} belongs behind the command: openclaw {after} {rest[0]}")
    name = rest.pop(0) if rest and not rest[0].startswith("-") else "run"
    if name == "help":
        print(_help(), end="")
        return 0
    module = command(name)
    if module is None:
        raise UsageError(f"there is no command `{name}`{_near(name)}; `openclaw --help` lists the commands")
    parser = _Parser(prog=f"openclaw {name}", description=module.__doc__, formatter_class=_Layout)
    parser.add_argument("-C", dest="project", metavar="DIR", default=options.project, help=argparse.SUPPRESS)
    parser.add_argument("--state", metavar="DIR", default=options.state, help=argparse.SUPPRESS)
    module.arguments(parser)
    args = parser.parse_args(rest)
    closed = bool(getattr(module, "LOOKS_ANYWHERE", False))
    args.project = place(args.project, _named(args.project, "-C", "OPENCLAW_PROJECT"), closed=closed)
    args.state = place(args.state, _named(args.state, "--state", "OPENCLAW_STATE"), closed=closed)
    return int(module.run(args))


def _named(text: str, option: str, variable: str) -> str:
    """Where a path comes from, so far as it can be told."""
    return variable if text and text == os.environ.get(variable) else option


def place(text: str, option: str, *, closed: bool = False) -> Path:
    """An absolute path that may or may not exist; where nobody may look only if it may be `closed`. Raises UsageError
    where no such place could be."""
    if not text:
        raise UsageError(f"{option} is empty; name a folder")
    try:
        found = Path(text).expanduser().absolute()
        with contextlib.suppress(*((PermissionError,) if closed else ())):
            found.is_dir()
    except (OSError, ValueError, RuntimeError) as error:
        why = (getattr(error, "strerror", None) or str(error)).lower()
        raise UsageError(f"{option} {text[:80]!a} cannot be a folder from here: {why}") from error
    return found


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise UsageError(f"{message}; see `{self.prog} --help`")


class _Layout(argparse.HelpFormatter):
    """Paragraphs as wide as the terminal; what is indented in them is left as it was written."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        paragraphs = re.split(r"\n\s*\n", text.strip())
        return "\n\n".join(each if "\n " in each else _wide(each, width) for each in paragraphs)


def _global_options(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """What stands before the command."""
    parser = _Parser(prog="openclaw", add_help=False, allow_abbrev=False)
    parser.add_argument("-C", dest="project", default=os.environ.get("OPENCLAW_PROJECT") or ".")
    parser.add_argument("--state", default=os.environ.get("OPENCLAW_STATE") or USUAL_STATE)
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("--version", "-V", action="store_true")
    taken = 0
    while taken < len(arguments) and arguments[taken].split("=")[0] in _GLOBAL:
        taken += 2 if arguments[taken] in ("-C", "--state") else 1
    return parser.parse_args(arguments[:taken]), arguments[taken:]


def _wide(text: str, width: int, below: str = "") -> str:
    import textwrap

    by_words = textwrap.TextWrapper(
        max(width, 40), subsequent_indent=below, break_long_words=False, break_on_hyphens=False
    )
    return by_words.fill(text)


def _help() -> str:
    import shutil

    rows = [(name, _summary(path)) for name, path in commands().items()]
    width = max(len(name) for name, _ in rows)
    room = shutil.get_terminal_size().columns - 2
    below = " " * (width + 4)
    listed = "\n".join(_wide(f"  {name.ljust(width)}  {text}", room, below) for name, text in rows)
    return (
        f"{_DESCRIPTION}\nCommands:\n{listed}\n\n"
        "Options before the command:\n"
        "  -C DIR        the project folder\n"
        "                (default: $OPENCLAW_PROJECT, else the current folder)\n"
        "  --state DIR   where sessions and memory live\n"
        "                (default: $OPENCLAW_STATE, else ~/.mini-openclaw)\n"
        "  --version     print the version\n\n"
        "`openclaw COMMAND --help` says more about one command.\n"
    )


def _summary(path: Path) -> str:
    """The first line of a command's docstring, read without importing it."""
    with path.open(encoding="utf-8") as file:
        return file.readline().strip().strip('"').rstrip(".")


def _near(name: str) -> str:
    from openclaw.near import meant

    return meant(name, commands())


def _bug(arguments: list[str]) -> int:
    """An exception nobody foresaw: said in one line, with the details in a file of our own."""
    import datetime
    import traceback

    from openclaw.secrecy import SECRETS

    text = SECRETS.mask(traceback.format_exc())
    where = "below"
    with contextlib.suppress(OSError):
        state = Path(_global_options(arguments)[0].state).expanduser()
        state.mkdir(mode=0o700, parents=True, exist_ok=True)  # which closes the last folder alone
        folder = state / "logs"
        folder.mkdir(mode=0o700, exist_ok=True)
        report = folder / f"bug-{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%SZ}.txt"
        report.write_text(f"openclaw {__version__}, Python {sys.version}\n\n{text}", "utf-8")
        report.chmod(0o600)
        where = f"in {report}"
    print(f"openclaw: this is a bug in openclaw {__version__}, not your mistake; details {where}", file=sys.stderr)
    if where == "below":
        print(text, file=sys.stderr)
    return BUG
