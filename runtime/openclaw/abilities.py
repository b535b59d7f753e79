"""What Anthropic's own service takes with which of its models, told by their ids. Pure.

Its law: an id that is not known counts as one of today's. Knows nothing of servers, requests or manifests.
"""

from __future__ import annotations

import re
from typing import Final

ALL: Final = frozenset({"thinking", "effort", "cache_control", "web_search", "compaction"})

_VERSION: Final = re.compile(r"claude-[a-z]+-(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)")
_OLD: Final = re.compile(r"claude-(?:\d|instant|v\d)")
_NO_SUMMARIES: Final = re.compile(r"claude-haiku-")


def of(model: str) -> frozenset[str]:
    """Thinking and effort in today's form, searches and summaries came with 4.6; the smallest makes no summaries."""
    version = _VERSION.match(model)
    if _OLD.match(model) or (version and (int(version[1]), int(version[2] or 0)) < (4, 6)):
        return frozenset({"cache_control"})
    return ALL - {"compaction"} if _NO_SUMMARIES.match(model) else ALL
