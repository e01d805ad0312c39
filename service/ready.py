"""Tell whether the service on this machine takes requests: `python -m service.ready [PORT]`.

Exit codes: 0 it does, 1 it does not.
"""

from __future__ import annotations

import sys
from http.client import HTTPConnection, HTTPException

PORT = 3000
PATIENCE = 4.0  # seconds


def is_ready(port: int = PORT) -> bool:
    """Tell whether /readyz answers 200 on the loopback interface."""
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(0 if is_ready(*map(int, sys.argv[1:2])) else 1)
