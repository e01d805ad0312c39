"""What every decision records about the service that made it."""

from __future__ import annotations

from service.settings.declaration import SettingsSection, variable


class IdentitySettings(SettingsSection):
    """The settings that identify the running code."""

    image: str | None = variable(
        "CREDIT_PD_IMAGE",
        None,
        "The container image of the service, which every decision records.",
        "a text",
    )
    git_commit: str | None = variable(
        "CREDIT_PD_GIT_COMMIT",
        None,
        "The git commit of the code, which every decision records; by default the checkout's.",
        "a text",
    )
