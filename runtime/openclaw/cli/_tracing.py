"""Spans where they are asked for: the variables of OpenTelemetry set up its SDK, if that is installed.

Law: without those variables nothing is imported. Whoever was started under `opentelemetry-instrument` has a provider,
and it is left alone until the end. What cannot be set up is said, and keeps nothing from running. Spans go out in the
background; an end waits for them a moment and no longer, whoever set up what sends them.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from openclaw import __version__, tracing

EXPORTER = "OTEL_TRACES_EXPORTER"
PROVIDER = "OTEL_PYTHON_TRACER_PROVIDER"
_WHERE = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PROTOCOL = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_PROVIDERS = {
    "opentelemetry.trace": "get_tracer_provider",
    "opentelemetry.metrics": "get_meter_provider",
    "opentelemetry._logs": "get_logger_provider",
}
_LAST = 2.0  # seconds that the last spans get


def traced() -> None:
    """Registers a provider, where one is wanted and there is none."""
    names, there = wanted(os.environ), "opentelemetry.trace" in sys.modules
    if names and tracing.tracer() is None:
        register(names)
    elif names and not there:  # the API itself loaded the one that is named
        print(f"openclaw: the provider of {PROVIDER} is used, and sends to what it was given alone", file=sys.stderr)


def register(names: tuple[str, ...]) -> None:
    """A provider that sends to these exporters; where there can be none that is said."""
    try:
        _register(names)
    except (ImportError, LookupError) as error:
        print(f"openclaw: no spans are sent: {error}; pip install 'openclaw-runtime[otel]'", file=sys.stderr)
    except Exception as error:  # a variable that the SDK makes nothing of, for example
        print(f"openclaw: no spans are sent: OpenTelemetry does not start ({error})", file=sys.stderr)


def wanted(environment: Any) -> tuple[str, ...]:
    """The exporters that the variables name; an endpoint alone means OTLP."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return ()
    named = environment.get(EXPORTER) or ("otlp" if any(environment.get(name) for name in _WHERE) else "none")
    names = [name.strip() for name in named.split(",")]
    grpc = any(environment.get(name, "").strip() == "grpc" for name in _PROTOCOL)
    whole = {"otlp": "otlp_proto_grpc" if grpc else "otlp_proto_http"}
    return tuple(whole.get(name, name) for name in names if name and name != "none")


def _register(names: tuple[str, ...]) -> None:
    from opentelemetry import trace

    try:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise ImportError("the SDK of OpenTelemetry is not installed") from None
    exporters = [_exporter(name)() for name in names]
    about = {"service.version": __version__}
    own = os.environ.get("OTEL_SERVICE_NAME") or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    if not own:
        about["service.name"] = "openclaw"
    provider = TracerProvider(resource=Resource.create(about), shutdown_on_exit=False)
    for exporter in exporters:
        provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)


def _exporter(name: str) -> Any:
    """Its class. Raises LookupError where no installed package has one of this name."""
    from importlib.metadata import entry_points

    found = [*entry_points(group="opentelemetry_traces_exporter", name=name)]
    if not found:
        raise LookupError(f"no exporter `{name}` is installed")
    return found[0].load()


def ending() -> None:
    """From now on the end of the process is bounded: what providers would do then by themselves takes half a minute
    where a collector does not answer, and a supervisor kills after fifteen seconds."""
    ends = []
    for module, name in _PROVIDERS.items():
        with suppress(Exception):  # a provider of somebody else's
            ends.append(getattr(sys.modules[module], name)().shutdown)
    for end in ends:
        atexit.unregister(end)
    atexit.unregister(_end)
    atexit.register(_end, ends)


def _end(ends: Sequence[Callable[[], object]]) -> None:
    """Sends what is left."""
    over = time.monotonic() + _LAST
    waiting = [threading.Thread(target=end, daemon=True) for end in ends]
    for one in waiting:
        one.start()
    for one in waiting:
        one.join(max(0.0, over - time.monotonic()))
