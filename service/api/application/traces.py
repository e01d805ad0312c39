"""Give each request a span of OpenTelemetry, where `CREDIT_PD_TRACES=on`.

A span is a child of the caller's (`traceparent`), and states the endpoint, the status and the
identifier of the request: nothing of an applicant, neither path nor query nor body. Spans go to
where OpenTelemetry's own variables say (`OTEL_EXPORTER_OTLP_ENDPOINT` and others).
"""

from __future__ import annotations

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import Message, Receive, Scope, Send

from service.api.application.asgi import Application
from service.api.application.request_log import HEADER, endpoint_of

ERROR = 500  # statuses from here on are errors of the service
FROM_CALLER = (b"traceparent", b"tracestate")


class TracedApplication:
    """Answers as the application does, and exports a span of each request."""

    def __init__(self, application: Application, exporter: SpanExporter) -> None:
        self.in_flight, self.refusal = application.in_flight, application.refusal
        self._application = application
        self.provider = TracerProvider(resource=Resource.create({"service.name": "credit_pd"}))
        self.provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self.provider.get_tracer(__name__)
        self._propagator = TraceContextTextMapPropagator()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI 3)."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        carrier = {n.decode(): v.decode("latin-1") for n, v in scope["headers"] if n in FROM_CALLER}
        with self._tracer.start_as_current_span(
            scope["method"],
            self._propagator.extract(carrier),
            SpanKind.SERVER,
            record_exception=False,  # its message may hold what an applicant stated
        ) as span:

            async def send_traced(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                    identifier = dict(message["headers"]).get(HEADER, b"").decode()
                    span.set_attribute("http.request.id", identifier)
                    if message["status"] >= ERROR:
                        span.set_status(StatusCode.ERROR)
                await send(message)

            await self._application(scope, receive, send_traced)
            endpoint = endpoint_of(scope)
            span.update_name(f"{scope['method']} {endpoint}")
            span.set_attributes({"http.request.method": scope["method"], "http.route": endpoint})


def trace(application: Application) -> TracedApplication:
    """Return the application with spans that go to a collector over HTTP (OTLP)."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
        OTLPSpanExporter,  # operators install it
    )

    return TracedApplication(application, OTLPSpanExporter())
