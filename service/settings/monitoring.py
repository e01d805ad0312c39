"""Whether decisions are monitored, and where the dashboard is."""

from __future__ import annotations

from typing import Literal

from service.settings.declaration import Port, Section, variable


class MonitoringSettings(Section):
    """The settings of the monitor and of the dashboard."""

    monitor: Literal["on", "off"] = variable(
        "CREDIT_PD_MONITOR",
        "on",
        "Whether the service starts the process that monitors its decisions for drift.",
        "on or off",
    )
    dashboard_port: Port = variable(
        "DASHBOARD_PORT",
        8501,
        "The port of the dashboard on the loopback interface.",
        "a whole number from 1 to 65535",
    )
