"""Did you mean ...? The nearest name, judged as a person mistypes: case, dashes and underscores aside. Pure."""

from __future__ import annotations

from collections.abc import Iterable


def fold(name: str) -> str:
    return name.casefold().replace("-", "").replace("_", "").replace(" ", "")


def near(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate that was probably meant, or None."""
    known = {fold(candidate): candidate for candidate in candidates}
    folded = fold(name)[:200]
    if folded in known:
        return known[folded]
    from difflib import get_close_matches  # takes time, and is rarely needed

    close = get_close_matches(folded, known, n=1, cutoff=0.6)
    return known[close[0]] if close else None


def meant(name: str, candidates: Iterable[str]) -> str:
    """`; did you mean ...?`, or nothing."""
    close = near(name, candidates)
    return f"; did you mean `{close}`?" if close else ""
