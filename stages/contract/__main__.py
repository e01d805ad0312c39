"""Draft or check a contract: `python -m stages.contract draft | check`."""

import sys

from stages import project
from stages.contract.command import command

project.enter()
sys.exit(command())
