"""What models cost, in US dollars for a million tokens and a thousand searches, where no manifest says it.

Its law: there is one list of prices, that of `genai-prices`, which comes with its package and is never fetched. Reading
it takes half a second, so the few models that this build knows by name stand here as well, and a test holds them
against the list; the list itself is read only for a model of another service whose price is wanted, and by whoever
serves people in a thread, before the price is asked for. A price that nobody knows is None, never 0.
"""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

from openclaw.manifest.snapshot import Price

log = logging.getLogger(__name__)
_BUILT_IN: Final = {
    "claude-opus-5-5": Price(4, 20, 0.2, 5, web_search=10),
    "claude-sonnet-5-5": Price(2, 10, 0.1, 2.5, web_search=10),
    "claude-haiku-5-5": Price(0.1, 0.5, 0.01, 0.125, above=100_000, beyond=Price(0.5, 2.5, 0.05, 0.625), web_search=10),
    "claude-fable-5-2": Price(8, 40, 0.2, 10, web_search=10),
    "claude-mythos-5-2": Price(8, 40, 0.2, 10, web_search=10),
    "claude-sonnet-4-6": Price(3, 15, 0.3, 3.75, web_search=10),
}
_SERVICE = r"(?i)https://[a-z0-9-]+(\.[a-z0-9-]+)*\.[a-z]{2,}(/.*)?"


def built_in(id: str) -> Price | None:
    """Of a model of Anthropic's own service."""
    return _BUILT_IN.get(id)


def listed(id: str, base_url: str, at: datetime | None = None) -> Price | None:
    """Of a model of the service at `base_url`, as the list of prices has it then, or now: some change with the hour."""
    found = _model(id, base_url)
    return None if found is None else _price(found.get_prices(at or datetime.now(UTC)))


def may_list(base_url: str) -> bool:
    """Whether the list may know a model of the service there: a server of one's own is in no list."""
    return re.fullmatch(_SERVICE, base_url) is not None


@cache
def _model(id: str, base_url: str) -> Any:
    """As the list has it; None where it does not."""
    if not may_list(base_url):
        return None
    try:
        from genai_prices.data_snapshot import get_snapshot
    except ImportError as error:  # a price is no reason not to answer
        log.warning("the list of prices cannot be read, so what a model costs there is not known: %s", error)
        return None
    try:
        _, found = get_snapshot().find_provider_model(id, None, None, base_url)
    except LookupError:
        return None
    return found


def _price(listed: Any) -> Price | None:
    """Of an entry of the list, whose prices may have tiers by the length of the request. What is written to or read
    from a cache costs as much as what is read where it has no price of its own."""
    input, output = (getattr(listed, name, None) for name in ("input_mtok", "output_mtok"))
    if input is None or output is None:
        return None
    cached = (getattr(listed, name, None) for name in ("cache_read_mtok", "cache_write_mtok"))
    asked = (input, output, *(input if one is None else one for one in cached))
    starts = [tier.start for one in asked for tier in getattr(one, "tiers", ())]
    base = [float(getattr(one, "base", one)) for one in asked]
    searches = getattr(listed, "web_searches_kcount", None)
    web_search = None if searches is None else float(getattr(searches, "base", searches))
    if not starts:
        return Price(base[0], base[1], base[2], base[3], web_search=web_search)
    far = [float(one.tiers[-1].price if hasattr(one, "tiers") else one) for one in asked]
    beyond = Price(far[0], far[1], far[2], far[3])
    return Price(base[0], base[1], base[2], base[3], int(min(starts)), beyond, web_search)
