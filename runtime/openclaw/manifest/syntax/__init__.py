"""Why a file is not YAML, in the words of the person who wrote it.

A parser says where it gave up; the mistake is often elsewhere. Each function listed here recognises one
kind of mistake from the text around that place and says so, or passes; the first that speaks is heard.
Both loaders end here, so nothing is taken from a parser's message but the kind of failure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from openclaw.manifest.diagnostic import Diagnostic
from openclaw.manifest.source import Source
from openclaw.manifest.syntax import lines, values
from openclaw.manifest.syntax.failure import Failure, Seen

_LOOKS: Final[tuple[Callable[[Failure], Diagnostic | None], ...]] = (
    lines.merge_conflict,
    lines.tab,
    values.unclosed_quote,
    values.escape,
    values.star,
    values.ampersand,
    values.reserved_start,
    values.question_mark,
    values.block_header,
    lines.tag_words,
    lines.directive,
    values.placeholder,
    values.wrong_bracket,
    values.missing_comma,
    values.template_braces,
    values.text_after_quote,
    values.flow_value,
    values.open_bracket,
    lines.list_on_key_line,
    lines.no_space_after_colon,
    lines.colon_in_text,
    lines.block_text_dedented,
    lines.plain_text_line,
    lines.not_a_key,
    lines.after_document,
    lines.indentation,
    lines.anything,
)


def explain(source: Source, failure: Exception, last: tuple[int, int, str] | None, opened: int | None) -> Diagnostic:
    problem: Any = getattr(failure, "problem_mark", None)
    context: Any = getattr(failure, "context_mark", None)
    words = f"{getattr(failure, 'context', '')} {getattr(failure, 'problem', failure)}".lower()
    size = len(source.text)
    at = min(problem.index if problem else size, size)
    stop = Failure(
        source, at, min(context.index, size) if context else at, words, Seen(*last) if last else None, opened
    )
    return next(said for look in _LOOKS if (said := look(stop)) is not None)
