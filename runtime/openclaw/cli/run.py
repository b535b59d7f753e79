"""Serve every channel and heartbeat until stopped.

At a terminal the person there takes part; Ctrl-D or /quit ends the runtime. Without one (a service, input from
/dev/null) it serves the other channels and `openclaw chat` until it gets SIGTERM or Ctrl-C. What was accepted
and not answered is kept on disk and answered at the next start.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from openclaw.cli._notify import supervised
from openclaw.cli._start import start
from openclaw.control_socket import SOCKET, reachable
from openclaw.errors import UsageError
from openclaw.logbook import LEVELS

LEVEL = "OPENCLAW_LOG_LEVEL"
_USUAL = "info"
_LOOK = 0.05  # seconds between two looks whether commands are answered
_MOST = 60.0  # seconds after which one whose control socket cannot be made counts as ready: its channels serve


def arguments(parser: argparse.ArgumentParser) -> None:
    demo = parser.add_mutually_exclusive_group()
    demo.add_argument("--demo", action="store_true", help="answer with the built-in demo model")
    demo.add_argument(
        "--demo-if-no-key", action="store_true", help="the same, but only where no credential is found at all"
    )
    parser.add_argument(
        "--strict", action="store_true", help="do not start on a broken project with the manifests applied last"
    )
    parser.add_argument(
        "--log-level",
        choices=LEVELS,
        help="what the log keeps of the runtime: this grave at the least; `debug` tells why something did not happen"
        f" (default: ${LEVEL}, else {_USUAL})",
    )


def run(args: argparse.Namespace) -> int:
    args.log_level = args.log_level or _level()
    if not os.isatty(0):
        # It asks for a reload and would end us while nobody listens to it yet; what it asks for, a start does anyway:
        # it reads everything, and looks once more when it watches. Not ignored, for children would inherit that.
        signal.signal(signal.SIGHUP, lambda *_: None)
    signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # until the runtime takes both, as it does once it is open
    try:
        return start(lambda: _serve(args))
    except KeyboardInterrupt:
        return 0  # asked to end before it served: nothing went wrong


def _level() -> str:
    named = os.environ.get(LEVEL, "").strip().lower() or _USUAL
    if named not in LEVELS:
        raise UsageError(f"{LEVEL}: `{named}` is none of {', '.join(LEVELS)}")
    return named


async def _serve(args: argparse.Namespace) -> int:
    from openclaw.app import App, stop_on_signals
    from openclaw.project import Options

    options = Options(
        args.project,
        args.state,
        demo=args.demo,
        demo_if_no_key=args.demo_if_no_key,
        strict=args.strict,
        level=args.log_level,
    )
    app = App(options)
    async with app.opened():
        stop_on_signals(app)
        addresses = await app.addresses()
        # A log would keep the token that a link carries; whoever reads this terminal may have it.
        links = app.intake.links() if sys.stderr.isatty() else ()
        print(banner(app, addresses, links), file=sys.stderr, flush=True)
        async with supervised(partial(answers, args.state)):
            await app.run()
    return 0


async def answers(state: Path, most: float = _MOST) -> None:
    """Returns once commands are answered, which is after the sessions were opened; or after `most` seconds."""
    with suppress(TimeoutError):
        async with asyncio.timeout(most):
            while True:
                if await _listens(state / SOCKET):
                    return
                await asyncio.sleep(_LOOK)


async def _listens(place: Path) -> bool:
    with suppress(OSError), reachable(place) as name:
        _, writer = await asyncio.open_unix_connection(name)
        writer.close()
        return True
    return False


def banner(app: object, addresses: Sequence[str] = (), links: Sequence[str] = ()) -> str:
    """What a person wants to know at the start: which assistant this is, and what will answer."""
    from openclaw import __version__
    from openclaw.app import App

    assert isinstance(app, App)
    snapshot = app.supervisor.current.snapshot
    agents = [f"{agent.name} ({agent.prefix})" if agent.prefix else agent.name for agent in snapshot.agents.values()]
    models = sorted({app.supervisor.current.models[agent.model].id for agent in snapshot.agents.values()})
    lines = [f"OpenClaw {__version__} · {', '.join(agents)} · {', '.join(models)}"]
    if app.demo:
        lines.append("DEMO: no real model answers. Set ANTHROPIC_API_KEY for one.")
    lines += [f"note: {notice}" for notice in app.notices]
    lines += [f"web page: {link}" for link in links]
    if not links:
        lines += [f"HTTP at {address}, with the token that `openclaw token` prints" for address in addresses]
    if not app.serves_person:
        lines.append(f"serving from {app.options.project}; `openclaw chat` reaches it, Ctrl-C stops it")
    return "\n".join(lines)
