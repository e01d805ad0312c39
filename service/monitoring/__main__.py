"""Judge every full window of decisions once: `python -m service.monitoring`."""

from service.monitoring.monitor import main

main()
