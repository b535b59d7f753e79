"""Spans and figures where they are asked for: the variables of OpenTelemetry set up its SDK, if that is installed.

Law: without those variables nothing is imported. Whoever was started under `opentelemetry-instrument` has a provider,
and it is left alone until the end. What cannot be set up is said, and keeps nothing from running. Both go out in the
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

from openclaw import __version__, metering, tracing

PROVIDER = "OTEL_PYTHON_TRACER_PROVIDER"
TRACES, METRICS = "TRACES", "METRICS"  # as the variables call spans and figures
_WORDS = {TRACES: "spans", METRICS: "figures"}
_PROVIDERS = {
    "opentelemetry.trace": "get_tracer_provider",
    "opentelemetry.metrics": "get_meter_provider",
    "opentelemetry._logs": "get_logger_provider",
}
_LAST = 2.0  # seconds that the last of them gets


def traced() -> None:
    """Registers a provider, where one is wanted and there is none."""
    names, there = wanted(os.environ), "opentelemetry.trace" in sys.modules
    figures = wanted(os.environ, METRICS)
    if names and tracing.tracer() is None:
        register(names)
    elif names and not there:  # the API itself loaded the one that is named
        print(f"openclaw: the provider of {PROVIDER} is used, and sends to what it was given alone", file=sys.stderr)
    if figures and metering.meters() is None:
        register(figures, METRICS)


def register(names: tuple[str, ...], signal: str = TRACES) -> None:
    """A provider that sends to these exporters; where there can be none that is said."""
    none = f"openclaw: no {_WORDS[signal]} are sent:"
    try:
        (_register if signal == TRACES else _register_meters)(names)
    except (ImportError, LookupError) as error:
        print(f"{none} {error}; pip install 'openclaw-runtime[otel]'", file=sys.stderr)
    except Exception as error:  # a variable that the SDK makes nothing of, for example
        print(f"{none} OpenTelemetry does not start ({error})", file=sys.stderr)


def wanted(environment: Any, signal: str = TRACES) -> tuple[str, ...]:
    """The exporters that the variables name; an endpoint alone means OTLP."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return ()

    def said(*names: str) -> list[str]:
        return [value for name in names if (value := environment.get(name, "").strip())]

    where = said("OTEL_EXPORTER_OTLP_ENDPOINT", f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")
    named = environment.get(f"OTEL_{signal}_EXPORTER") or ("otlp" if where else "none")
    names = [name.strip() for name in named.split(",")]
    grpc = "grpc" in said(f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
    whole = {"otlp": "otlp_proto_grpc" if grpc else "otlp_proto_http"}
    return tuple(whole.get(name, name) for name in names if name and name != "none")


def _register(names: tuple[str, ...]) -> None:
    from opentelemetry import trace

    try:
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise _no_sdk() from None
    exporters = [_exporter(name)() for name in names]
    provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
    for exporter in exporters:
        provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)


def _register_meters(names: tuple[str, ...]) -> None:
    from opentelemetry import metrics

    try:
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
    except ImportError:
        raise _no_sdk() from None
    made = [_exporter(name, METRICS)() for name in names]  # some are readers of their own
    readers = [one if isinstance(one, MetricReader) else PeriodicExportingMetricReader(one) for one in made]
    metrics.set_meter_provider(MeterProvider(readers, _resource(), shutdown_on_exit=False))


def _no_sdk() -> ImportError:
    return ImportError("the SDK of OpenTelemetry is not installed")


def _resource() -> Any:
    from opentelemetry.sdk.resources import Resource

    about = {"service.version": __version__}
    own = os.environ.get("OTEL_SERVICE_NAME") or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    if not own:
        about["service.name"] = "openclaw"
    return Resource.create(about)


def _exporter(name: str, signal: str = TRACES) -> Any:
    """Its class. Raises LookupError where no installed package has one of this name."""
    from importlib.metadata import entry_points

    found = [*entry_points(group=f"opentelemetry_{signal.lower()}_exporter", name=name)]
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
    over = threading.Event()
    # They begin now, for a process that ends begins no thread any more.
    waiting = [threading.Thread(target=_ended, args=(over, end), daemon=True) for end in ends]
    for one in waiting:
        one.start()
    atexit.register(_end, over, waiting)


def _ended(over: threading.Event, end: Callable[[], object]) -> None:
    over.wait()
    end()


def _end(over: threading.Event, waiting: Sequence[threading.Thread]) -> None:
    """Sends what is left."""
    over.set()
    last = time.monotonic() + _LAST
    for one in waiting:
        one.join(max(0.0, last - time.monotonic()))
