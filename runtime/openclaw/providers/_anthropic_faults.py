"""What goes wrong with a Messages API server, told as `ProviderError`.

Its law: no text of the SDK's exceptions is passed on, because they may quote headers and addresses; the
server's own words are, where they help, cut short and with our keys struck out. It does not know how a
request is sent or an answer read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from openclaw.errors import ProviderError, ProviderFault
from openclaw.messages import quote_line
from openclaw.providers._anthropic_credentials import HOW

_TOO_LONG = re.compile(
    r"prompt is too long|context[ _](?:window|length|size|limit)|maximum context|too many (?:input )?tokens", re.I
)
_BOUND = re.compile(r"thinking.*(?:signature|block)|(?:signature|block).*thinking", re.I | re.S)
LONGEST_NAMED = 365 * 24 * 3600.0  # seconds
_KINDS: Mapping[str, ProviderFault] = {
    "authentication_error": "credentials",
    "permission_error": "credentials",
    "not_found_error": "unknown_model",
    "rate_limit_error": "rate_limited",
    "overloaded_error": "overloaded",
    "timeout_error": "unreachable",
    "api_error": "unreachable",
    "request_too_large": "context_window",
}
_STATUSES: Mapping[int, ProviderFault] = {
    401: "credentials",
    403: "credentials",
    404: "unknown_model",
    413: "context_window",
    429: "rate_limited",
    503: "overloaded",
    529: "overloaded",
}


@dataclass(frozen=True, slots=True)
class Service:
    """The server that is spoken to: `host` for a person's eyes, `secrets` to strike out, `how` to mend its key."""

    host: str
    secrets: tuple[str, ...] = field(default=(), repr=False)
    how: str = HOW

    def failure(
        self, status: int, kind: str | None, text: str | None, model: str, retry_after: float | None = None
    ) -> ProviderError:
        """An error the server told, by status before the answer began, or by an event in the middle (status 200)."""
        fault = _fault(status, kind, text or "")
        said = f": {self._clean(text)}" if text else ""
        match fault:
            case "credentials":  # the server's words may quote the key: never passed on
                message = f"{self.host} refused the credentials ({kind or status}); {self.how}"
            case "unknown_model":
                message = f"{self.host} does not know the model `{model}`; correct its id in models.yaml"
            case "rate_limited":
                wait = f" for {retry_after:.0f} s" if retry_after else ""
                message = f"{self.host} limits the rate of requests; wait{wait} and try again"
            case "overloaded":
                message = f"{self.host} is overloaded; try again in a moment"
            case "unreachable":
                message = f"{self.host} failed inside ({kind or status}); try again in a moment"
            case "context_window":
                message = f"the conversation is too long for `{model}`{said}"
            case _ if status == 404:
                message = (
                    f"{self.host} has no Messages API at this address; check base_url in models.yaml (without /v1)"
                )
            case _:
                message = f"{self.host} rejected the request ({kind or status}){said}"
        return ProviderError(fault, message, retry_after=retry_after)

    def truncated(self, why: str) -> ProviderError:
        return ProviderError("truncated", f"the answer of {self.host} is incomplete: {why}; try again")

    def unreachable(self, why: str) -> ProviderError:
        return ProviderError("unreachable", f"cannot reach {self.host}: {why}; check the network and the address")

    def not_a_stream(self, content_type: str) -> ProviderError:
        seen = quote_line(content_type.partition(";")[0])[:60] or "nothing recognisable"
        return ProviderError(
            "rejected", f"{self.host} answered with {seen} instead of an event stream; check base_url in models.yaml"
        )

    def _clean(self, text: str) -> str:
        for secret in self.secrets:
            text = text.replace(secret, "***")
        text = text[:4000]  # after the secrets, so that no half of one is left
        line = quote_line(" ".join(text.split()))
        return line if len(line) <= 400 else f"{line[:400]}…"


def translate(error: Exception, service: Service, model: str) -> ProviderError:
    """An exception of the SDK or of its HTTP client, raised before the first byte of an answer."""
    import anthropic
    import httpx2

    match error:
        case anthropic.APIStatusError():
            text = error.api_message or _plain(error.body)
            after = retry_after(error.response.headers)
            return service.failure(error.status_code, error.type, text, model, after)
        case anthropic.APITimeoutError():
            return service.unreachable("no answer in time")
        case anthropic.APIConnectionError():
            return service.unreachable(_cause(error))
        case anthropic.CredentialsError():
            return service.failure(401, "no usable credential", None, model)
        case httpx2.HTTPError() | httpx2.InvalidURL():
            return service.unreachable(type(error).__name__)
        case _:
            why = type(error).__name__
            return ProviderError("rejected", f"the request to {service.host} could not be made ({why})")


def bound_elsewhere(error: Exception) -> bool:
    """A 400 about thinking blocks: they belong to a conversation that is not, byte for byte, this one."""
    import anthropic

    return isinstance(error, anthropic.BadRequestError) and bool(_BOUND.search(error.api_message or ""))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds the server wants us to wait, a year at most; dates and nonsense count as not said."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) * unit
        except (KeyError, ValueError):
            continue
        if 0 <= seconds < float("inf"):
            return min(seconds, LONGEST_NAMED)
    return None


def _fault(status: int, kind: str | None, text: str) -> ProviderFault:
    if status in (200, 400, 422) and _TOO_LONG.search(text):
        return "context_window"
    if status == 404 and "model" not in text.lower():
        return "rejected"  # the path is unknown there, not the model
    if status in _STATUSES:
        return _STATUSES[status]
    if status >= 500 or status in (408, 409):
        return "overloaded" if kind == "overloaded_error" else "unreachable"
    return _KINDS.get(kind or "", "rejected") if status == 200 else "rejected"


def _plain(body: object) -> str | None:
    """The words of a server that does not wrap its errors as the Messages API does."""
    if isinstance(body, Mapping):
        body = next((body[name] for name in ("message", "error", "detail") if isinstance(body.get(name), str)), None)
    return body if isinstance(body, str) and not body.lstrip().startswith("<") else None


def _cause(error: BaseException) -> str:
    """Why there is no connection. Only the network's own words: those of the HTTP library may quote a header."""
    import httpx2

    cause = error.__cause__
    if isinstance(cause, httpx2.ConnectError | OSError) and str(cause):
        return quote_line(str(cause))[:120]
    return type(cause or error).__name__
