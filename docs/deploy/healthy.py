"""Whether the runtime on this state folder lives: exit code 0 or 1, for a container's health check.

Asks /healthz on the control socket, so it needs neither a token nor an HTTP channel, and the standard library alone.
"""

import os
import socket
import sys


def lives(folder: str) -> bool:
    try:
        os.chdir(folder)  # the name of a socket may be a hundred characters long, and no more
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(8)
            line.connect("control.sock")
            line.sendall(b"GET /healthz HTTP/1.1\r\nHost: runtime\r\nConnection: close\r\n\r\n")
            return line.recv(64).startswith(b"HTTP/1.1 200 ")
    except OSError as error:
        print(error, file=sys.stderr)
        return False


if __name__ == "__main__":
    sys.exit(not lives(os.environ.get("OPENCLAW_STATE", ".")))
