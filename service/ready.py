"""Tell whether the service on this machine takes requests: `python -m service.ready [PORT]`.

Exit codes: 0 it takes requests, 1 it does not.
"""

from __future__ import annotations

import sys
from http.client import HTTPConnection, HTTPException

PORT = 3000
TIMEOUT = 4.0  # seconds


def is_ready(port: int = PORT) -> bool:
    """Tell whether the service at a loopback port answers `GET /readyz` with 200."""
    connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(0 if is_ready(*map(int, sys.argv[1:2])) else 1)
