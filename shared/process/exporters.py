"""Exports traces and metrics to Application Insights, an OTLP collector, the console, or nowhere.

Log records already reach Application Insights through the Functions host.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from shared.process.telemetry import SCOPE

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricExporter
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter

    from shared.settings.app import TelemetrySettings

    type Exporters = tuple[SpanExporter, MetricExporter]

_INTERVAL_MS: Final = {"azure": 60_000, "otlp": 60_000, "console": 5_000}


def start(settings: TelemetrySettings) -> None:
    """Begin to export as the settings say. Import the SDKs only when they are needed."""
    makers = {"azure": _to_azure, "otlp": _to_otlp, "console": _to_console}
    if settings.target in makers:
        _provide(makers[settings.target](settings), _INTERVAL_MS[settings.target])


def _to_azure(settings: TelemetrySettings) -> Exporters:
    from azure.identity import ManagedIdentityCredential  # noqa: PLC0415
    from azure.monitor.opentelemetry.exporter import AzureMonitorMetricExporter, AzureMonitorTraceExporter  # noqa: PLC0415

    identity = ManagedIdentityCredential(client_id=settings.client_id) if settings.client_id else None
    where = {"connection_string": settings.connection_string, "credential": identity}
    return AzureMonitorTraceExporter(**where), AzureMonitorMetricExporter(**where)


def _to_otlp(_: TelemetrySettings) -> Exporters:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

    return OTLPSpanExporter(), OTLPMetricExporter()  # they read the standard OTEL_* variables themselves


def _to_console(_: TelemetrySettings) -> Exporters:
    from opentelemetry.sdk.metrics.export import ConsoleMetricExporter  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import ConsoleSpanExporter  # noqa: PLC0415

    return ConsoleSpanExporter(out=sys.stderr), ConsoleMetricExporter(out=sys.stderr)


def _provide(exporters: Exporters, interval_ms: int) -> None:
    from opentelemetry import metrics, trace  # noqa: PLC0415
    from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader  # noqa: PLC0415
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    class OurSpans(BatchSpanProcessor):
        """Exports only the app's own spans. FastAPI's carry the query, and with it function keys (``?code=``)."""

        def on_end(self, span: ReadableSpan) -> None:
            if span.instrumentation_scope is not None and span.instrumentation_scope.name == SCOPE:
                super().on_end(span)

    for_spans, for_metrics = exporters
    resource = Resource.create({"service.name": SCOPE})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(OurSpans(for_spans))
    trace.set_tracer_provider(provider)
    reader = PeriodicExportingMetricReader(for_metrics, interval_ms)
    metrics.set_meter_provider(MeterProvider([reader], resource=resource))
