"""Draft or check a contract: `python -m stages.contract draft | check`."""

import sys

from stages.contract.command import command

sys.exit(command())
