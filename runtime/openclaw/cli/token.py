"""Print the operator's token for HTTP: the one that was generated for this state folder.

A project whose channels.yaml sets `token` has none here. Whoever has the token may do everything; keep it.
"""

from __future__ import annotations

import argparse

from openclaw.errors import OpenClawError


def arguments(parser: argparse.ArgumentParser) -> None:
    pass


def run(args: argparse.Namespace) -> int:
    path = args.state / "http-token"
    try:
        token = path.read_text("ascii").strip()
    except FileNotFoundError:
        token = ""
    except (OSError, ValueError) as error:
        raise OpenClawError(f"the token file {path} cannot be read; delete it to get a new one") from error
    if not token:
        raise OpenClawError(
            f"no token was generated in {args.state}; that happens when an http channel without `token` first starts"
        )
    print(token)
    return 0
