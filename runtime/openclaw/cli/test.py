"""Judge the project's scenarios: what is expected of its routes, decisions, schedules and conversations.

Reads tests/scenarios/*.yaml of the project, or what PATH names, and asks the same rooms that decide in a runtime,
without a model and without a network. Nothing listens, and nothing is written outside of temporary folders; only
--update writes: it brings recorded expectations that fail up to date, in place, and says which. PATTERN is part of a
case's file, line or title, or a glob for all of that.

Exit codes: 0 all cases passed, 1 one failed or a scenario file has mistakes, 2 wrong usage or no scenarios, 3 the
project's manifests have errors.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from openclaw.adapters import importer, report
from openclaw.errors import ProjectInvalid, UsageError

if TYPE_CHECKING:
    from openclaw.manifest.project import Project
    from openclaw.scenarios.document import Case, Scenario
    from openclaw.scenarios.results import Chosen, Result, Results
    from openclaw.scenarios.suite import Suite
    from openclaw.scenarios.world import World


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", nargs="*", metavar="PATH", help="scenario files, or folders of them")
    parser.add_argument("--format", choices=("text", "junit"), default="text", help="how it is told (default: text)")
    parser.add_argument("--update", action="store_true", help="rewrite expectations that fail to what came of them")
    parser.add_argument("-k", "--filter", metavar="PATTERN", help="judge only the cases that match this")
    parser.add_argument("--coverage", action="store_true", help="list what no case has put to use")
    parser.add_argument("-v", "--verbose", action="store_true", help="tell of cases that passed, too")


def run(args: argparse.Namespace) -> int:
    from openclaw.scenarios import check
    from openclaw.scenarios.results import matching
    from openclaw.scenarios.suite import load

    project, world = _compiled(args.project, args.state)
    files = check.chosen(args.project, args.path) if args.path else check.own(world.folder)
    if not files:
        where = "there" if args.path else f"in {args.project / check.FOLDER}"
        raise UsageError(f"there is no scenario file {where}; `openclaw init` writes an example")
    suite, chosen = load(project, files), matching(args.filter)
    if args.filter and not suite.checked.diagnostics and not _count(suite, chosen):
        raise UsageError(f"no case matches `{args.filter}`; `openclaw test -v` lists them all")
    with _ended_as_by_ctrl_c():
        if args.update and _updated(suite, world, chosen, args.project):
            suite = load(project, files)
        return _Telling(args, suite, world).tell(chosen)


@contextmanager
def _ended_as_by_ctrl_c() -> Iterator[None]:
    """Whoever ends it, as by a limit of time, lets it clear away what conversations have written."""

    def end(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    ours = [number for number, known in before.items() if known is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def _count(suite: Suite, chosen: Chosen) -> int:
    return sum(chosen(scenario, case) for scenario in suite.scenarios for case in scenario.cases)


def _compiled(root: Path, state: Path) -> tuple[Project, World]:
    from openclaw.manifest.build import compile_open
    from openclaw.manifest.folder import Folder
    from openclaw.scenarios.world import World

    if not root.is_dir():
        raise UsageError(f"{root} is not a folder; name the project's folder with -C")
    folder, now = Folder.read(root), datetime.now(UTC)
    compiled, project = compile_open(folder, environment=None, importer=importer(root), today=now)
    if compiled.snapshot is None:
        print(report("text").render(compiled.diagnostics, folder), file=sys.stderr)
        raise ProjectInvalid(f"{root} has errors; no scenario was judged", compiled.diagnostics)
    return project, World(folder, compiled.snapshot, root, state, now)


def _updated(suite: Suite, world: World, chosen: Chosen, root: Path) -> bool:
    """Whether any file was written."""
    from openclaw.scenarios import record
    from openclaw.scenarios.results import judged
    from openclaw.secrecy import SECRETS

    progress = _Progress(_count(suite, chosen))
    try:
        found = list(judged(suite, world, chosen, progress.begins))
    finally:
        progress.clear()
    written = False
    for scenario in suite.scenarios:
        own = [each for each in found if each.file == scenario.file]
        for change in record.write(root, scenario, suite.checked.contents[scenario.file], own):
            written |= change.made
            verb = "updated" if change.made else "cannot be rewritten in place, edit it by hand:"
            line = f"openclaw: {verb} {change.place} {change.what}: {change.before} -> {change.after}"
            print(SECRETS.mask(line), file=sys.stderr)
    return written


@dataclass(slots=True)
class _Progress:
    """Which case is being judged, on a terminal: one line, that is gone when something is said."""

    total: int
    shown: bool = field(default_factory=lambda: sys.stderr.isatty())
    number: int = 0

    def begins(self, scenario: Scenario, case: Case) -> None:
        from openclaw.scenarios.results import title
        from openclaw.words import quote_line

        self.number += 1
        if self.shown:
            text = quote_line(f"{self.number} of {self.total}: {scenario.file}: {title(case)}")[:78]
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        if self.shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


@dataclass(slots=True)
class _Telling:
    args: argparse.Namespace
    suite: Suite
    world: World

    def tell(self, chosen: Chosen) -> int:
        from openclaw.cli import INTERRUPTED
        from openclaw.scenarios.results import collected

        self._mistakes()
        found: list[Result] = []
        interrupted = False
        try:
            for result in self._judged(chosen):
                found.append(result)
        except KeyboardInterrupt:
            interrupted = True
        results = collected(found, self.suite, self.world, chosen)
        self._end(results, interrupted)
        if interrupted:
            return INTERRUPTED
        return 1 if results.failed or self.suite.checked.diagnostics else 0

    def _judged(self, chosen: Chosen) -> Iterator[Result]:
        """Each result, told as soon as it is there."""
        from openclaw.scenarios import reports
        from openclaw.scenarios.results import judged

        progress = _Progress(_count(self.suite, chosen))
        try:
            for result in judged(self.suite, self.world, chosen, progress.begins):
                if self._text and (self.args.verbose or not result.outcome.passed):
                    progress.clear()
                    end = "\n" if result.outcome.passed else "\n\n"
                    print(reports.told(result, self.suite, _color()), end=end, flush=True)
                yield result
        finally:
            progress.clear()

    @property
    def _text(self) -> bool:
        return str(self.args.format) == "text"

    def _mistakes(self) -> None:
        """Of scenario files; in JUnit they stand among the cases."""
        from openclaw.manifest.reports import Look

        if self.suite.checked.diagnostics and self._text:
            folder = self.suite.checked.over(self.world.folder)
            print(report("text").render(self.suite.checked.diagnostics, folder, Look(_color())), flush=True)

    def _end(self, results: Results, interrupted: bool) -> None:
        from openclaw.scenarios import coverage, reports

        if not self._text:
            print(reports.junit(results, self.suite))
        out = sys.stdout if self._text else sys.stderr
        if self.args.coverage:
            print("\n".join(coverage.unused(results.coverage) or ["every way and every rule was put to use"]), file=out)
        if interrupted:
            print("openclaw: interrupted; what follows is what there was until then", file=out)
        print(f"openclaw: {reports.summary(results, self.suite)}", file=out)
        print(f"openclaw: {coverage.summary(results.coverage)}", file=out)


def _color() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")
