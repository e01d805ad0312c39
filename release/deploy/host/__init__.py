"""Replace the service on a serving host without losing a request.

- `deploy`: the command that an operator or Systems Manager runs on the host
- `bluegreen`: the switch from one colour to the other, and back when the new one fails
- `containers`: the two containers, through docker or podman
- `proxy`: HAProxy, through its runtime socket
- `probe`: whether a service is ready, and which model it serves
- `settings`: the host's settings; `files`: what the host remembers

The package is copied to the host and runs there under its Python 3.9, so it imports the standard
library and itself alone. `release.image.run_check` imports from it to start images as a host does.
"""


class Refused(Exception):
    """A deployment that must not go on; the message tells the operator why."""


class RolledBack(Refused):
    """A deployment that was live for a moment, failed there, and was taken back."""
