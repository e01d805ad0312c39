"""A span of each request for operators, with nothing of an applicant in it."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from service import settings
from service.api.access.authentication import Access
from service.api.application.asgi import Application
from service.api.application.traces import TracedApplication
from service.api.handlers.api import Api
from service.settings import SettingsError, monitoring
from tests.support.api_client import Client, inner

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def client(api: Api, spans: InMemorySpanExporter) -> Client:
    application = Application(inner, lambda: api.routes, Access(None), 4000)
    traced = TracedApplication(application, spans)
    client = Client(traced)
    client.flush = traced.provider.force_flush  # type: ignore[attr-defined]
    return client


def test_a_request_is_a_span_of_its_callers_trace(client: Any, spans: InMemorySpanExporter) -> None:
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
    answer = client.get("/v1/logs?search=Meier", headers=headers)
    client.flush()
    (span,) = spans.get_finished_spans()
    assert span.name == "GET /logs"
    assert span.kind == SpanKind.SERVER
    assert f"{span.context.trace_id:032x}" == TRACE
    assert f"{span.parent.span_id:016x}" == PARENT
    assert dict(span.attributes) == {
        "http.request.method": "GET",
        "http.route": "/logs",
        "http.response.status_code": answer.status_code,
        "http.request.id": answer.headers["x-request-id"],
    }


def test_a_span_holds_neither_the_path_nor_the_body(
    client: Any, spans: InMemorySpanExporter
) -> None:
    client.post("/predict", json={"name": "Meier"})
    client.get("/cases/Meier-17")
    client.get("/Meier")
    client.flush()
    written = "".join(span.to_json() for span in spans.get_finished_spans())
    assert "POST /predict" in written
    assert "Meier" not in written


def test_only_a_fault_of_the_service_is_an_error(
    client: Any, api: Api, spans: InMemorySpanExporter
) -> None:
    api.state.engine = None
    client.get("/readyz")
    client.get("/nothing")
    client.flush()
    statuses = [span.status.status_code for span in spans.get_finished_spans()]
    assert statuses == [StatusCode.ERROR, StatusCode.UNSET]


def test_traces_are_off_and_on_needs_the_package_that_sends_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert settings.load().traces == "off"
    monkeypatch.setenv("CREDIT_PD_TRACES", "on")

    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(monitoring, "find_spec", missing)
    with pytest.raises(SettingsError, match="where the package opentelemetry-exporter-otlp"):
        settings.load()
    monkeypatch.setattr(monitoring, "find_spec", lambda name: importlib.util.find_spec("json"))
    assert settings.load().traces == "on"
