"""What the page for officers is called."""

from __future__ import annotations

from service.settings.declaration import SettingsSection, variable


class PageSettings(SettingsSection):
    """The settings of the page."""

    page_title: str = variable(
        "CREDIT_PD_PAGE_TITLE", "Credit decision", "The name of the page for officers.", "a text"
    )
    page_subtitle: str = variable(
        "CREDIT_PD_PAGE_SUBTITLE",
        "",
        "What the page says under its title, such as the lender's name or whom to ask.",
        "a text",
    )
