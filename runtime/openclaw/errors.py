"""What can go wrong that is not a mistake in a manifest.

A mistake in a manifest is a `Diagnostic` value and never raised. Everything below is the machine's,
the network's or the caller's failure. Messages are lower case and name the thing, the place and the cure.

    OpenClawError                  exit 1
    ├── UsageError                 exit 2    wrong arguments, no such folder
    ├── ProjectInvalid             exit 3    carries the diagnostics
    ├── ProjectUnsettled           exit 1    its files change while they are read, again and again
    ├── CredentialsError           exit 4    no key, or the key was refused
    ├── StateError                 exit 1    the state folder cannot be used
    │   ├── StateLocked                      another runtime holds it
    │   └── StateTooNew                      written by a newer version; left as it is
    ├── DiskFull                   exit 1    nothing was written; to be tried again when there is room
    ├── AgentGone                  exit 1    it was taken away between queue and turn; the message is routed anew
    ├── QueueFull                  exit 1    a session has as much waiting as it may; nothing was taken
    ├── StorageFailed              exit 1    a write or fsync failed; the process must end and start again from disk
    ├── ProviderError              exit 1    the model did not answer
    │   └── OverBudget             exit 5    it was not asked: the agent has cost what it may on this day
    ├── DeliveryError              exit 1    a channel could not send a reply
    ├── PairingError               exit 2    nobody waits with that code, or was let in under that address
    ├── ApprovalError              exit 1    an approval cannot be answered so (unknown, expired, not an approver)
    └── ToolError                  exit 1    a tool failed; its text is the tool result the model reads

Two codes are answers and no errors: 5, `why --exit-code` of a call that is not allowed; 6, `plan` of an edit by
which a permission widens, or may.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal


class OpenClawError(Exception):
    """The root: `str()` of it is fit to show to a person."""

    exit_code = 1


class UsageError(OpenClawError):
    exit_code = 2


class ProjectInvalid(OpenClawError):
    """The manifests have errors. `diagnostics` are `manifest.diagnostic.Diagnostic` values."""

    exit_code = 3

    def __init__(self, message: str, diagnostics: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.diagnostics = tuple(diagnostics)


class ProjectUnsettled(OpenClawError):
    pass


class CredentialsError(OpenClawError):
    exit_code = 4


class StateError(OpenClawError):
    pass


class StateLocked(StateError):
    """Another runtime holds the state folder. `pid` is the holder's, or None where it could not be read."""

    def __init__(self, message: str, pid: int | None = None) -> None:
        super().__init__(message)
        self.pid = pid


class StateTooNew(StateError):
    pass


class DiskFull(OpenClawError):
    pass


class AgentGone(OpenClawError):
    pass


class QueueFull(OpenClawError):
    """`waiting` messages of the session have not been taken up yet."""

    def __init__(self, message: str, waiting: int) -> None:
        super().__init__(message)
        self.waiting = waiting


class StorageFailed(OpenClawError):
    pass


ProviderFault = Literal[
    "credentials",  # missing or refused key
    "rejected",  # the request itself is wrong; sending it again cannot help
    "unknown_model",
    "rate_limited",
    "overloaded",
    "unreachable",  # no connection, or it was cut before anything came
    "truncated",  # the stream ended without its end marker, or stalled
    "context_window",  # the request is too long for the model
    "refused",  # the model declined to answer
    "budget",  # the agent has cost what it may on this day; nothing was asked
]


class ProviderError(OpenClawError):
    """The model did not give a complete answer. Nothing of a failed attempt enters the transcript.

    `retry_after` is in seconds, where the server named a time.
    """

    def __init__(self, fault: ProviderFault, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.fault: ProviderFault = fault
        self.retry_after = retry_after

    @property
    def retryable(self) -> bool:
        return self.fault in ("rate_limited", "overloaded", "unreachable", "truncated")


class OverBudget(ProviderError):
    """The model is not asked before the next day. `str()` says so to the person, whole."""

    exit_code = 5

    def __init__(self, message: str) -> None:
        super().__init__("budget", message)


class DeliveryError(OpenClawError):
    """A reply could not be handed over. `final` means that trying again cannot help, `begun` that a part of it has
    arrived, or may have: whoever sends it after a restart must say so."""

    def __init__(
        self, message: str, *, final: bool = False, retry_after: float | None = None, begun: bool = False
    ) -> None:
        super().__init__(message)
        self.final = final
        self.retry_after = retry_after
        self.begun = begun


class PairingError(OpenClawError):
    exit_code = 2


class ApprovalError(OpenClawError):
    pass


class ToolError(OpenClawError):
    pass
