"""The challenger that scores decisions beside the champion."""

from __future__ import annotations

from service.settings.declaration import SettingsSection, variable


class ShadowSettings(SettingsSection):
    """The settings of the challenger."""

    challenger: str = variable(
        "CREDIT_PD_CHALLENGER",
        "",
        "The folder of a challenger that scores every recorded decision beside the champion, "
        "without answering; `python -m service.shadow pack` makes it.",
        "a path",
    )
