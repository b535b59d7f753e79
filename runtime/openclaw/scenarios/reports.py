"""Results for people, and for CI servers as JUnit's XML. Same cases, same places, same words in both.

Of a case that failed: where it stands, the source line, what was given, expected and got, and why. No secret of the
project reaches a case, and what looks like one is struck out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape, quoteattr

from openclaw.manifest.diagnostic import Diagnostic, Span, error
from openclaw.manifest.folder import Folder
from openclaw.manifest.reports import head
from openclaw.manifest.reports._lines import lines
from openclaw.manifest.reports.text import excerpt
from openclaw.scenarios import coverage
from openclaw.scenarios.document import Failure
from openclaw.scenarios.results import Result, Results
from openclaw.scenarios.suite import Suite
from openclaw.secrecy import SECRETS
from openclaw.words import quote_line

MOST_SHOWN = 5  # failures of one case
_RED, _GREEN, _BOLD, _DIM, _OFF = "\x1b[31m", "\x1b[32m", "\x1b[1m", "\x1b[2m", "\x1b[0m"
_REFUSED = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


# ── for people ───────────────────────────────────────────────────────────────────────────────────


def told(result: Result, suite: Suite, color: bool = False) -> str:
    """One result: a line where it passed, all about it where it failed."""
    outcome = result.outcome
    passed = _painted("ok  ", _GREEN, color) if outcome.passed else _painted("FAIL", _RED, color)
    where = _painted(_place(_span(result)), _BOLD, color)
    rows = [f"{passed}  {where}  {outcome.section}: {outcome.name}"]
    previous = None
    for failure in outcome.failures[:MOST_SHOWN]:
        rows += _failure(failure, suite, color, marked=failure.span != previous)
        previous = failure.span
    more = len(outcome.failures) - MOST_SHOWN
    return SECRETS.mask("\n".join([*rows, *([f"      and {more:,} more of this case"] if more > 0 else [])]))


def _span(result: Result) -> Span:
    failures = result.outcome.failures
    return failures[0].span if failures else result.outcome.span


def _failure(failure: Failure, suite: Suite, color: bool, *, marked: bool) -> Iterator[str]:
    yield from _excerpt(failure.span, suite, color) if marked else ()
    for name in ("given", "expected", "got", "why"):
        for number, line in enumerate(getattr(failure, name)):
            label = _painted(f"{'' if number else name:9}", _DIM, color)
            yield f"      {label} {line}"


def _excerpt(span: Span, suite: Suite, color: bool) -> Iterator[str]:
    shown = lines(Folder.of(suite.checked.contents), span.file)
    if span.line <= len(shown) and shown[span.line - 1].strip():
        yield from excerpt(error("", span, ""), shown[span.line - 1], color)


def _painted(text: str, tint: str, color: bool) -> str:
    return f"{tint}{text}{_OFF}" if color else text


def _place(span: Span) -> str:
    return f"{quote_line(span.file)}:{span.line}:{span.column}"


def summary(results: Results, suite: Suite) -> str:
    """`4 cases in 2 files: 3 passed, 1 failed`, and what else there is to say."""
    cases, failed, broken = len(results.results), results.failed, len(_broken(suite))
    told = [f"{cases - failed:,} passed", *([f"{failed:,} failed"] if failed else [])]
    if results.left_out:
        told.append(f"{results.left_out:,} not chosen")
    if results.unjudged:
        told.append(f"{results.unjudged:,} not judged")
    if broken:
        told.append(f"{_many(broken, 'file')} with mistakes")
    files = len({each.file for each in results.results})
    return f"{_many(cases, 'case')} in {_many(files, 'file')}: {', '.join(told)}"


def _broken(suite: Suite) -> dict[str, list[Diagnostic]]:
    found: dict[str, list[Diagnostic]] = {}
    for each in suite.checked.diagnostics:
        found.setdefault(each.file, []).append(each)
    return found


def _many(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


# ── for CI servers ───────────────────────────────────────────────────────────────────────────────


def junit(results: Results, suite: Suite) -> str:
    """A file is a suite; a case is a case in it. A file with mistakes is one that erred, and so is an early end."""
    by_file: dict[str, list[Result]] = {}
    for each in results.results:
        by_file.setdefault(each.file, []).append(each)
    broken = _broken(suite)
    errors = len(broken) + bool(results.unjudged)
    counts = _counts(len(results.results) + errors, results.failed, errors)
    rows = ['<?xml version="1.0" encoding="UTF-8"?>', f'<testsuites name="openclaw test" {counts}>']
    for file, found in by_file.items():
        failed = sum(not each.outcome.passed for each in found)
        rows.append(f"  <testsuite name={_attribute(file)} {_counts(len(found), failed, 0)}>")
        rows += [row for each in found for row in _case(each, suite)]
        rows.append("  </testsuite>")
    for file, said in broken.items():
        rows += _mistakes(file, said)
    if results.unjudged:
        rows += _interrupted(results.unjudged)
    rows.append(f"  <!-- {escape(coverage.summary(results.coverage))} -->")
    return SECRETS.mask("\n".join([*rows, "</testsuites>"]))


def _counts(tests: int, failures: int, errors: int) -> str:
    return f'tests="{tests}" failures="{failures}" errors="{errors}" skipped="0"'


def _case(result: Result, suite: Suite) -> Iterator[str]:
    outcome, span = result.outcome, _span(result)
    name = _attribute(f"{outcome.name} (line {outcome.span.line})")
    start = f"    <testcase classname={_attribute(f'openclaw.{outcome.section}')} name={name}"
    start += f' file={_attribute(span.file)} line="{span.line}"'
    if outcome.passed:
        yield f"{start}/>"
        return
    message = _attribute(
        f"{_place(span)}: expected {_first(outcome.failures, 'expected')}, got {_first(outcome.failures, 'got')}"
    )
    yield f"{start}>"
    yield f'      <failure type="{outcome.section}" message={message}>{_content(told(result, suite))}</failure>'
    yield "    </testcase>"


def _first(failures: Sequence[Failure], name: str) -> str:
    return ", ".join(getattr(failures[0], name)) or "nothing"


def _mistakes(file: str, said: list[Diagnostic]) -> Iterator[str]:
    yield f"  <testsuite name={_attribute(file)} {_counts(1, 0, 1)}>"
    yield f'    <testcase classname="openclaw.scenario" name="the file is sound" file={_attribute(file)}>'
    text = "\n".join(head(each) + (f"\n  help: {each.help}" if each.help else "") for each in said)
    yield f"      <error type={_attribute(said[0].code)} message={_attribute(head(said[0]))}>{_content(text)}</error>"
    yield from ("    </testcase>", "  </testsuite>")


def _interrupted(count: int) -> Iterator[str]:
    yield f'  <testsuite name="interrupted" {_counts(1, 0, 1)}>'
    yield '    <testcase classname="openclaw.scenario" name="all cases are judged">'
    yield f'      <error type="interrupted" message="{_many(count, "case")} not judged"/>'
    yield from ("    </testcase>", "  </testsuite>")


def _attribute(value: str) -> str:
    return quoteattr(_REFUSED.sub("\ufffd", quote_line(value)))


def _content(value: str) -> str:
    return escape(_REFUSED.sub("\ufffd", value))
