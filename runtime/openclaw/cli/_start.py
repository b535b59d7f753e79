"""Starting a runtime from the command line: what every command that needs one does the same."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from openclaw.cli._tracing import ending, traced
from openclaw.errors import ProjectInvalid


def start(run: Callable[[], Coroutine[Any, Any, int]]) -> int:
    """Runs a command's coroutine; an invalid project is explained mistake by mistake before its exit code."""
    logging.basicConfig(level=logging.WARNING, format="openclaw: %(message)s", stream=sys.stderr)
    for writer in logging.getLogger().handlers:
        writer.setLevel(logging.WARNING)  # the file beside it gets more
        writer.addFilter(_for_people)
    traced()
    try:
        return asyncio.run(run())
    except ProjectInvalid as error:
        from openclaw.manifest.reports import brief

        print(brief(error.diagnostics), file=sys.stderr)
        if any(each.code == "no-agents" for each in error.diagnostics):
            print("openclaw: `-C DIR` names another folder; `openclaw init DIR` writes a project", file=sys.stderr)
        print(f"openclaw: {error}", file=sys.stderr)
        return error.exit_code
    finally:
        ending()


def _for_people(record: logging.LogRecord) -> bool:
    """Not what whoever reads here is told in another way."""
    return not getattr(record, "quiet", False)
