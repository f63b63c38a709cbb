"""What the hub answered, told apart: no token, terms not accepted, wrong name, offline."""

import errno
import os
from typing import Any

from immunopath.domain.errors import (
    HubError,
    HubNameUnknown,
    HubOffline,
    HubTermsNotAccepted,
    HubTokenMissing,
)

PUBLIC_HUB = "https://huggingface.co"


def endpoint() -> str:
    """Return the hub's address: ``HF_ENDPOINT`` or the public one, without a trailing slash."""
    return (os.environ.get("HF_ENDPOINT") or PUBLIC_HUB).rstrip("/")


def is_offline() -> bool:
    """Return whether ``HF_HUB_OFFLINE`` (or its older transformers twin) forbids the network."""
    truthy = {"1", "ON", "YES", "TRUE"}
    names = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    return any(os.environ.get(name, "").upper() in truthy for name in names)


def has_token() -> bool:
    """Return whether a token is configured (environment or ``hf auth login``)."""
    from huggingface_hub import get_token

    return get_token() is not None


def hub_failures() -> tuple[type[Exception], ...]:
    """Return what huggingface_hub and its HTTP client raise when a file cannot be had."""
    from huggingface_hub import errors

    # its HTTP client's base class, under whatever name that client has in this release
    http: type[Exception] = getattr(errors, "HTTPError", errors.HfHubHTTPError)
    return (OSError, errors.HFValidationError, http)


def named_error(error: BaseException, repo: str, revision: str | None) -> HubError:
    """Return the named error behind an exception of huggingface_hub, remedy in its message.

    Gated repositories answer 401 without a token and 403 to an account that has not accepted the
    terms; names that do not exist answer 404, and 401 to anybody who sends no token. Everything
    that is no answer of the hub (no route, time-out, offline mode) means offline.
    """
    from huggingface_hub import errors as hub

    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EACCES, errno.EROFS}:
        return HubError(
            f"{repo}: cannot be stored ({error.strerror}); free space or set HF_HOME to a folder "
            "that can be written"
        )
    chain = _chain(error)
    gated = _first(chain, hub.GatedRepoError)
    if gated is not None:
        return _no_token(repo) if _status(gated) == 401 or not has_token() else _no_terms(repo)
    if _first(chain, hub.RevisionNotFoundError) is not None:
        return HubNameUnknown(
            f"{repo}: the hub has no revision {revision!r}; name a branch, tag or commit of "
            f"{endpoint()}/{repo}"
        )
    missing = _first(chain, hub.RepositoryNotFoundError)
    if missing is not None or _first(chain, hub.HFValidationError) is not None:
        return _no_name(repo)
    answered = _first(chain, hub.HfHubHTTPError)
    if answered is not None and _status(answered) in {401, 403}:
        return _no_token(repo) if _status(answered) == 401 else _no_terms(repo)
    return offline(repo, revision)


def offline(repo: str, revision: str | None) -> HubOffline:
    """Return the error for a checkpoint that is not in the cache while the hub is out of reach."""
    from huggingface_hub import constants

    at = f" at revision {revision}" if revision else ""
    why = "HF_HUB_OFFLINE is set" if is_offline() else f"{endpoint()} was not reached"
    return HubOffline(
        f"{repo}: not in the local cache {constants.HF_HUB_CACHE}{at} and {why}; run 'immunopath "
        f"models fetch {repo}' on a machine with access and carry the cache over, or give a folder"
    )


def _no_token(repo: str) -> HubTokenMissing:
    why = "the token is not valid" if has_token() else "no token is configured"
    return HubTokenMissing(
        f"{repo}: gated, and {why}; run 'hf auth login' or set HF_TOKEN, after accepting the terms "
        f"at {endpoint()}/{repo}"
    )


def _no_terms(repo: str) -> HubTermsNotAccepted:
    return HubTermsNotAccepted(
        f"{repo}: gated, and the account behind the token has no access; accept the terms at "
        f"{endpoint()}/{repo} with that account, then try again"
    )


def _no_name(repo: str) -> HubNameUnknown:
    private = "" if has_token() else ", or is private and no token is configured"
    return HubNameUnknown(
        f"{repo}: no such repository at {endpoint()}{private}; check the spelling (owner/name) or "
        "give a local folder"
    )


def _chain(error: BaseException) -> list[BaseException]:
    """Return the exception and what it was raised from, outermost first."""
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in chain:
        chain.append(current)
        current = current.__cause__ or current.__context__
    return chain


def _first(chain: list[BaseException], kind: type[BaseException]) -> BaseException | None:
    return next((error for error in chain if isinstance(error, kind)), None)


def _status(error: Any) -> int | None:  # noqa: ANN401 - an HTTP error of the hub's client
    response = getattr(error, "response", None)
    code = getattr(response, "status_code", None)
    return code if isinstance(code, int) else None
