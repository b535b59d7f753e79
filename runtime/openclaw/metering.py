"""Figures of the calls of models, for whoever has set up OpenTelemetry: the tokens of each, and the time that it took.

Law: that of the spans, which `chat` makes with them: without a provider nothing of OpenTelemetry is imported and
nothing is counted, and a provider that fails costs its figures and no turn. Names, units and the bounds of the buckets
are those of the conventions for generative AI. Through the API alone; knows no SDK, no exporter, and no price.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from openclaw import __version__, tracing

if TYPE_CHECKING:
    from opentelemetry.metrics import Histogram

    from openclaw.clock import Clock
    from openclaw.ports import Completed, Request

_MODULE = "opentelemetry.metrics"
_NAMED = os.environ.get("OTEL_PYTHON_METER_PROVIDER", "")  # which one the API itself is told to load
_TOKENS: Final = tuple(4.0**power for power in range(14))
_SECONDS: Final = tuple(0.01 * 2**power for power in range(14))
_made: dict[str, Any] = {}  # the provider, and what was made of it; or why there is none


def meters() -> tuple[Histogram, Histogram] | None:
    """Of tokens and of seconds; None where nobody has registered a provider: then nobody would see a figure."""
    module: Any = sys.modules.get(_MODULE)
    if (module is None and not _NAMED) or "broken" in _made:
        return None
    try:
        if module is None:
            from opentelemetry import metrics as module
        provider = module.get_meter_provider()
        if type(provider).__module__.startswith(_MODULE):  # the API's own: of them none counts anything
            return None
        if _made.get("provider") is not provider:
            _made.update(provider=provider, meters=_make(provider))
        found: tuple[Histogram, Histogram] = _made["meters"]
        return found
    except AttributeError:  # another thread is importing it at this moment
        return None
    except Exception:
        _made["broken"] = True
        return None


def _make(provider: Any) -> tuple[Histogram, Histogram]:
    meter = provider.get_meter("openclaw", __version__)
    return (
        meter.create_histogram(
            "gen_ai.client.token.usage",
            unit="{token}",
            description="Number of input and output tokens used.",
            explicit_bucket_boundaries_advisory=_TOKENS,
        ),
        meter.create_histogram(
            "gen_ai.client.operation.duration",
            unit="s",
            description="GenAI operation duration.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        ),
    )


def chat(
    provider: object, request: Request, answer: Coroutine[Any, Any, Completed], clock: Clock
) -> Coroutine[Any, Any, Completed]:
    """The same answer of a model; there is a span around it, and its figures are counted. The SDK of the service does
    neither for the requests that are written by hand, as ours are. `provider` is named by its file."""
    if tracing.tracer() is None and meters() is None:
        return answer
    return _chat(type(provider).__module__.rpartition(".")[2], request, answer, clock)


async def _chat(provider: str, request: Request, answer: Coroutine[Any, Any, Completed], clock: Clock) -> Completed:
    began = clock.monotonic()
    about = {"gen_ai__operation__name": "chat", "gen_ai__provider__name": provider}
    about["gen_ai__request__model"] = request.model
    try:
        with tracing.span(
            f"chat {request.model}",
            outside=True,
            **about,
            gen_ai__request__max_tokens=request.max_tokens,
            gen_ai__request__stream=True,
            gen_ai__conversation__id=request.session,
        ) as told:
            done = await answer
            told.used(done.usage)
            reasons = [done.stop_reason or tracing.OTHER]
            told.note(gen_ai__response__model=done.model, gen_ai__response__finish_reasons=reasons)
    except BaseException as error:
        _count(clock.monotonic() - began, dict(about, error__type=tracing.kind(error)))
        raise
    about["gen_ai__response__model"] = done.model
    read = done.usage.input + done.usage.cache_read + done.usage.cache_write
    _count(clock.monotonic() - began, about, input=read, output=done.usage.output)
    return done


def _count(seconds: float, about: dict[str, str], **tokens: int) -> None:
    """Where an answer says nothing of its tokens, none are counted."""
    with suppress(Exception):
        if (found := meters()) is None:
            return
        of_tokens, of_seconds = found
        of_seconds.record(seconds, tracing.attributes(about))
        for kind, number in tokens.items() if any(tokens.values()) else ():
            of_tokens.record(number, tracing.attributes(dict(about, gen_ai__token__type=kind)))
