"""Spans of what the runtime does, for whoever has set up OpenTelemetry: turns, calls of models, calls of tools.

Law: without a provider nothing of OpenTelemetry is imported and nothing is made; a provider that fails costs its spans
and no turn. Only figures and names are attributes: no span holds what people, models or tools said, nor the words of an
error, which may quote them. Secrets are struck out as they are in the log, for the key of a session may hold one. Names
are those of the conventions for generative AI. Through the API alone; knows no SDK, no exporter, and reads no setting.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from openclaw import __version__
from openclaw.secrecy import SECRETS

if TYPE_CHECKING:
    from opentelemetry.trace import Span as Recorded
    from opentelemetry.trace import Tracer

    from openclaw.messages import Usage

OTHER = "_OTHER"  # the conventions' word for an error that has none of its own
_MODULE = "opentelemetry.trace"
_NAMED = os.environ.get("OTEL_PYTHON_TRACER_PROVIDER", "")  # which one the API itself is told to load
_broken: set[str] = set()  # providers that were named and cannot be loaded


def tracer() -> Tracer | None:
    """None where nobody has registered a provider: then nobody would see a span."""
    module: Any = sys.modules.get(_MODULE)
    if (module is None and not _NAMED) or _NAMED in _broken:
        return None
    try:
        if module is None:
            from opentelemetry import trace as module
        provider = module.get_tracer_provider()
        if isinstance(provider, module.ProxyTracerProvider):
            return None
        found: Tracer = provider.get_tracer("openclaw", __version__)
        return found
    except AttributeError:  # another thread is importing it at this moment
        return None
    except Exception:
        _broken.add(_NAMED)
        return None


def current() -> str:
    """The id of the trace that goes on here; "" where there is none."""
    if tracer() is None:
        return ""
    from opentelemetry import trace

    found = trace.get_current_span().get_span_context()
    return f"{found.trace_id:032x}" if found.is_valid else ""


class Span:
    """One span, or nothing at all. What is noted is dropped where it is empty."""

    def __init__(self, recorded: Recorded | None = None) -> None:
        self._recorded = recorded

    def note(self, **noted: Any) -> None:
        """`gen_ai__tool__name` is `gen_ai.tool.name`."""
        if self._recorded is not None:
            with suppress(Exception):
                self._recorded.set_attributes(attributes(noted))

    def used(self, usage: Usage) -> None:
        """Of tokens; what was read from and written to a cache is input, too."""
        self.note(
            gen_ai__usage__input_tokens=usage.input + usage.cache_read + usage.cache_write,
            gen_ai__usage__output_tokens=usage.output,
            gen_ai__usage__cache_read__input_tokens=usage.cache_read or None,
            gen_ai__usage__cache_write__input_tokens=usage.cache_write or None,
        )

    def failed(self, kind: str) -> None:
        """`kind` is one of a few words; never the error's own."""
        if self._recorded is not None:
            from opentelemetry.trace import StatusCode

            self.note(error__type=kind or OTHER)
            with suppress(Exception):
                self._recorded.set_status(StatusCode.ERROR)


_NONE = Span()


@contextmanager
def span(name: str, *, outside: bool = False, **noted: Any) -> Iterator[Span]:
    """What runs inside, tasks and threads that begin there included, is a part of it. `outside`: a call of another
    service."""
    found = tracer()
    if found is None:
        yield _NONE
        return
    from opentelemetry import trace

    side = trace.SpanKind.CLIENT if outside else trace.SpanKind.INTERNAL
    try:
        recorded = found.start_span(SECRETS.mask(name), kind=side, attributes=attributes(noted))
    except Exception:  # a fault of the provider's
        yield _NONE
        return
    told = Span(recorded)
    try:
        with trace.use_span(recorded, record_exception=False, set_status_on_exception=False):
            yield told
    except BaseException as error:
        told.failed(kind(error))
        raise
    finally:
        with suppress(Exception):
            recorded.end()


def kind(error: BaseException) -> str:
    """One of a few words; never the error's own."""
    return getattr(error, "fault", "") or type(error).__name__


def attributes(named: Mapping[str, Any]) -> dict[str, Any]:
    """As they are sent: none that is empty, and without secrets."""
    told = {key: value for key, value in named.items() if value is not None and value != ""}
    return {key.replace("__", "."): SECRETS.mask_all(value) for key, value in told.items()}
