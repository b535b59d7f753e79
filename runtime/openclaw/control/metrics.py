"""The runtime's figures in the text form of Prometheus, read from what the runtime tells of itself at that moment.

Law: nothing is counted here; whoever asks, and however many do, reads the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from openclaw.ports import Operations

if TYPE_CHECKING:
    from prometheus_client import Metric

_TOKENS = ("input", "output", "cache_read", "cache_write")
_CONDITIONS = ("receiving", "connecting", "silent", "serving", "starting", "off", "failed", "ended")
Rows = Sequence[Mapping[str, Any]]
Values = Mapping[Any, float]  # by label values, in the order of the labels


class Figures:
    """A collector of its own: the library's shared one would mix two runtimes in one process."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations
        self._inbox: Mapping[str, int] = {}

    def text(self, inbox: Mapping[str, int]) -> tuple[bytes, str]:
        """The whole exposition, and its media type. `inbox`: how many messages and replies are in which state."""
        from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

        registry = CollectorRegistry(auto_describe=False)
        self._inbox = inbox
        registry.register(self)
        return generate_latest(registry), CONTENT_TYPE_LATEST

    def describe(self) -> Sequence[Metric]:
        return []  # else the library collects once more to learn the names

    def collect(self) -> Iterator[Metric]:
        status = self._operations.status()
        yield from _house(status)
        inbox = {(state,): count for state, count in self._inbox.items()}
        yield _gauge("inbox", "Messages and replies that have not come to their end", inbox, "state")
        yield _gauge("disk_full", "Whether nothing new is taken in for want of room", {(): status["disk"]["full"]})
        yield from _spent(self._operations.usage())
        yield from _channels(status["channels"])
        yield from _reloading(status)


def _house(status: Mapping[str, Any]) -> Iterator[Metric]:
    yield _gauge("build_info", "The version that runs", {(status["version"],): 1}, "version")
    yield _gauge("up", "Whether messages are taken", {(): status["ready"]})
    yield _gauge("uptime_seconds", "Since the start", {(): status["uptime_seconds"]})
    yield _gauge("running_turns", "Answers being written", {(): len(status["running"])})
    yield _gauge("pending_approvals", "Questions that wait for a person", {(): status["approvals"]})


def _reloading(status: Mapping[str, Any]) -> Iterator[Metric]:
    what = "Whether what is on disk is in force, by whatever way: 0 after a start on what was applied last, too"
    yield _gauge("last_reload_successful", what, {(): not status["differs"]})
    succeeded = status["last_success"]
    at = {(): datetime.fromisoformat(succeeded).timestamp()} if succeeded else {}
    yield _gauge("last_reload_timestamp_seconds", "When what is on disk was last found or put in force", at)
    counts = {(outcome,): count for outcome, count in status["reloads"].items()}
    yield _counter("reloads", "Attempts to apply what is on disk", counts, "outcome")


def _spent(rows: Rows) -> Iterator[Metric]:
    by = {(row["agent"], row["model"]): row for row in rows}
    of = ("agent", "model")
    yield _counter("turns", "Turns that ended", {key: row["turns"] for key, row in by.items()}, *of)
    yield _counter("turns_failed", "Turns that failed", {key: row["failed"] for key, row in by.items()}, *of)
    yield _counter("turn_seconds", "Time spent in turns", {key: row["seconds"] for key, row in by.items()}, *of)
    tokens = {(*key, kind): row[f"{kind}_tokens"] for key, row in by.items() for kind in _TOKENS}
    yield _counter("tokens", "Tokens used", tokens, *of, "kind")
    costs = {key: row["cost_usd"] for key, row in by.items() if row["cost_usd"] is not None}
    yield _counter("cost_usd", "US dollars, as far as prices are known", costs, *of)
    unpriced = {key: row["calls_unpriced"] for key, row in by.items()}
    yield _counter("calls_unpriced", "Calls of a model at a price that nobody knows", unpriced, *of)


def _channels(channels: Mapping[str, Mapping[str, Any]]) -> Iterator[Metric]:
    conditions = {(key, one): found["condition"] == one for key, found in channels.items() for one in _CONDITIONS}
    yield _gauge("channel_condition", "1 for the condition a channel is in", conditions, "channel", "condition")
    last = {
        (key,): datetime.fromisoformat(found["last_received"]).timestamp()
        for key, found in channels.items()
        if "last_received" in found
    }
    yield _gauge("channel_last_received_timestamp_seconds", "When it last received", last, "channel")
    restarts = {(key,): found["restarts"] for key, found in channels.items()}
    yield _counter("channel_restarts", "How often it was started anew", restarts, "channel")
    reconnects = {(key,): found["reconnects"] for key, found in channels.items() if "reconnects" in found}
    yield _counter("channel_reconnects", "How often it connected again", reconnects, "channel")


def _gauge(name: str, words: str, values: Values, *labels: str) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    return _filled(GaugeMetricFamily(f"openclaw_{name}", words, labels=labels), values)


def _counter(name: str, words: str, values: Values, *labels: str) -> Metric:
    from prometheus_client.core import CounterMetricFamily

    return _filled(CounterMetricFamily(f"openclaw_{name}", words, labels=labels), values)


def _filled(family: Any, values: Values) -> Metric:
    for labels, value in values.items():
        family.add_metric(labels, float(value))
    found: Metric = family
    return found
