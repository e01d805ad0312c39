"""Replace the service on a serving host without losing a request.

- `deploy`: the command that an operator or Systems Manager runs on the host
- `bluegreen`: switches from one colour to the other, and back when the new one fails
- `admission`: admits an image that is signed, judged and not older than the live one;
  `attestation` verifies what is signed, `oci_registry` reads what is attached to an image
- `canary`: gives the new colour a growing share of the applicants, and compares the two
- `watch`: holds refusals and slow answers after the switch against what was usual before
- `containers`: starts and stops the two containers with docker or podman
- `proxy`: controls HAProxy through its runtime socket
- `probe`: asks a service whether it is ready and which model it serves
- `settings`: the settings of the host; `files`: its state and history

The package is copied to the host and runs there under Python 3.9, so it imports only the standard
library and itself. `release.image.run_check` imports from it to start images as a host does.
"""


class DeploymentRefused(Exception):
    """A deployment was refused; the message tells the operator why."""


class RolledBack(DeploymentRefused):
    """A deployment went live, failed there, and was rolled back."""
