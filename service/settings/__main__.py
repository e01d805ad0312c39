"""Print all settings as the table that the documentation shows."""

from service import settings

print(settings.table())
