"""Whether decisions are monitored, and where the dashboard is."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated, Literal

from pydantic import AfterValidator

from service.settings.declaration import Days, Port, SettingsSection, variable

EXPORTER = "opentelemetry-exporter-otlp-proto-http"  # the package that sends spans


def require_exporter(text: str) -> str:
    """Return the value; raises ValueError for `on` where spans cannot be sent."""
    if text == "on":
        try:
            find_spec("opentelemetry.exporter.otlp.proto.http")
        except ModuleNotFoundError:
            raise ValueError from None
    return text


class MonitoringSettings(SettingsSection):
    """The settings of the monitor and of the dashboard."""

    monitor: Literal["on", "off", "apart"] = variable(
        "CREDIT_PD_MONITOR",
        "on",
        "Whether the service starts the process that monitors its decisions for drift; with "
        "`apart`, `python -m service.monitoring --watch` runs elsewhere.",
        "on, off or apart",
    )
    request_log: Literal["on", "off"] = variable(
        "CREDIT_PD_REQUEST_LOG",
        "on",
        "Whether each answer is logged as a line of JSON on standard output: its request_id "
        "(`x-request-id`), caller, endpoint, status and milliseconds, and nothing of an applicant.",
        "on or off",
    )
    traces: Annotated[Literal["on", "off"], AfterValidator(require_exporter)] = variable(
        "CREDIT_PD_TRACES",
        "off",
        "Whether each request is a span of OpenTelemetry, sent where `OTEL_EXPORTER_OTLP_ENDPOINT` "
        f"says. The image does not have the package `{EXPORTER}`: an operator adds it.",
        f"off, or on where the package {EXPORTER} is installed",
    )
    dashboard_port: Port = variable(
        "DASHBOARD_PORT",
        8501,
        "The port of the dashboard on the loopback interface.",
        "a whole number from 1 to 65535",
    )
    page_url: str = variable(
        "CREDIT_PD_PAGE_URL",
        "http://127.0.0.1:3000",
        "The address of the service's page, to which the dashboard links each case.",
        "an address that begins with http:// or https://",
    )
    maturity_days: Days | None = variable(
        "CREDIT_PD_MATURITY_DAYS",
        None,
        "The days after which a loan with an outcome counts as realised, in the place of "
        "`monitor.maturity_days` in params.yaml.",
        "a whole number from 0",
    )
