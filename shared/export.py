"""Where the measurements go: Application Insights, an OTLP collector, the console, or nowhere.

Traces and metrics only. Log records already reach Application Insights through the Functions host.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from shared.telemetry import SCOPE

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.settings import TelemetrySettings

_CONSOLE_INTERVAL_MS: Final = 10_000


def start(settings: TelemetrySettings) -> None:
    """Begin to export, as the settings say. The SDKs are imported only when they are needed."""
    exporters: dict[str, Callable[[TelemetrySettings], None]] = {
        "azure": _to_azure,
        "otlp": _to_otlp,
        "console": _to_console,
    }
    if settings.target in exporters:
        exporters[settings.target](settings)


def _to_azure(settings: TelemetrySettings) -> None:
    from azure.identity import ManagedIdentityCredential  # noqa: PLC0415
    from azure.monitor.opentelemetry import configure_azure_monitor  # noqa: PLC0415

    identity = ManagedIdentityCredential(client_id=settings.client_id) if settings.client_id else None
    configure_azure_monitor(
        connection_string=settings.connection_string,
        credential=identity,
        disable_logging=True,
        enable_live_metrics=False,
        instrumentation_options={
            name: {"enabled": False}
            for name in ("azure_sdk", "django", "fastapi", "flask", "psycopg2", "requests", "urllib", "urllib3")
        },
    )


def _to_otlp(_: TelemetrySettings) -> None:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    # Address, headers and intervals: the standard OTEL_* variables, which the exporters read themselves.
    _provide(BatchSpanProcessor(OTLPSpanExporter()), PeriodicExportingMetricReader(OTLPMetricExporter()))


def _to_console(_: TelemetrySettings) -> None:
    from opentelemetry.sdk.metrics.export import (  # noqa: PLC0415
        ConsoleMetricExporter,
        PeriodicExportingMetricReader,
    )
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter  # noqa: PLC0415

    _provide(
        BatchSpanProcessor(ConsoleSpanExporter(out=sys.stderr)),
        PeriodicExportingMetricReader(ConsoleMetricExporter(out=sys.stderr), _CONSOLE_INTERVAL_MS),
    )


def _provide(spans: object, readings: object) -> None:
    from opentelemetry import metrics, trace  # noqa: PLC0415
    from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415

    resource = Resource.create({"service.name": SCOPE})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(spans)  # type: ignore[arg-type]
    trace.set_tracer_provider(provider)
    metrics.set_meter_provider(MeterProvider([readings], resource=resource))  # type: ignore[list-item]
