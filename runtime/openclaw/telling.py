"""What the log says of an attempt to reload, at the level it deserves, and what is answered where the runtime is at
fault: the kind of the error alone, and under which reference the log tells more.

Knows no attempt but the one it is given.
"""

from __future__ import annotations

import logging
import secrets

from openclaw import logbook
from openclaw.attempts import ASKED, Attempt, errors_of
from openclaw.manifest.reports import brief

log = logging.getLogger("openclaw.reload")  # under the name that they are looked for by

TOLD = 5  # errors of one attempt that the log shows
PEOPLES = (ASKED, "SIGHUP")  # triggers after which somebody looks for a line in the log


def fault(error: Exception, words: str) -> str:
    reference = secrets.token_hex(4)
    log.error("%s (reference %s)", words, reference, exc_info=error)
    return f"this is a fault of the runtime, {type(error).__name__} (reference {reference}); its log tells more"


def tell(attempt: Attempt, again: bool, mended: bool) -> None:
    """`again`: it says what the one before it said; `mended`: disk and running differed before it. `told`: a terminal
    that shows the attempt itself need not show these lines, too."""
    facts = logbook.event(f"reload {attempt.outcome.replace('_', ' ')}", number=attempt.number, trigger=attempt.trigger)
    told = {"told": "reload", **facts}
    match attempt.outcome:
        case "unchanged":
            asked = attempt.trigger in PEOPLES or mended
            log.log(logging.WARNING if asked else logging.INFO, "%s", attempt.words, extra=told)
        case "refused":
            errors = errors_of(attempt.diagnostics)
            more = f"\nand {len(errors) - TOLD} more" if len(errors) > TOLD else ""
            log.error("%s, nothing changed:\n%s%s", attempt.head, brief(errors[:TOLD]), more, extra=told)
        case "failed":
            log.log(logging.INFO if again else logging.ERROR, "%s", attempt.words, extra=told)
        case "applied" | "needs_restart":
            log.warning("%s", attempt.words, extra=told)
    for words in attempt.widened:
        log.warning("reload %d WIDENS: %s", attempt.number, words, extra=told)
