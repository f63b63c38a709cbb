"""Where the page may listen, and who may see it."""

import ipaddress
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from immunopath.domain.errors import InputError
from immunopath.domain.files import read_bounded, require_file

PASSWORD_VARIABLE: Final = "IMMUNOPATH_APP_PASSWORD"  # noqa: S105 - a name, no password
MIN_PASSWORD: Final = 12
MAX_PASSWORD_BYTES: Final = 4096


class BindError(InputError):
    """The page may not or cannot listen where it was asked to."""


@dataclass(frozen=True)
class Binding:
    """An address that passed the rules.

    password: None only on loopback, where nobody but the users of this machine can connect.
    """

    host: str
    port: int
    password: str | None

    @property
    def loopback(self) -> bool:
        """Whether only this machine can connect."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Return whether `host` names this machine and nothing that others can reach."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def checked_binding(host: str, port: int, password: str | None) -> Binding:
    """Return the binding; raises `BindError` for an open address without a password."""
    if not 0 <= port <= 65535:
        raise BindError(f"--port {port}: choose 0 to 65535")
    if password is None and not is_loopback(host):
        raise BindError(
            f"--host {host}: others could reach the page; state a password with --password-file "
            f"or {PASSWORD_VARIABLE}, or leave --host out"
        )
    return Binding(host, port, password)


def read_password(file: Path | None) -> str | None:
    """Return the password of `file`, else of the environment, else None.

    The first line counts. Raises `BindError` for one of fewer than `MIN_PASSWORD` characters.
    """
    if file is None:
        stated, origin = os.environ.get(PASSWORD_VARIABLE), PASSWORD_VARIABLE
        if stated is None:
            return None
    else:
        stated, origin = _first_line_of(file), str(file)
    if len(stated) < MIN_PASSWORD:
        raise BindError(f"{origin}: a password needs at least {MIN_PASSWORD} characters")
    return stated


def _first_line_of(file: Path) -> str:
    require_file(file, "the file of the password")
    try:
        if file.stat().st_size > MAX_PASSWORD_BYTES:
            raise BindError(f"{file}: larger than a password can be")
        lines = read_bounded(file, MAX_PASSWORD_BYTES).decode("utf-8").splitlines()
    except OSError as error:
        raise BindError(f"{file}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise BindError(f"{file}: not UTF-8 text") from error
    return lines[0].strip() if lines else ""


def listening_socket(binding: Binding) -> socket.socket:
    """Return a bound socket; raises `BindError` where the address cannot be had."""
    family = socket.AF_INET6 if ":" in binding.host else socket.AF_INET
    host = "127.0.0.1" if binding.host == "localhost" else binding.host
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, binding.port))
    except OSError as error:
        listener.close()
        reason = error.strerror or error
        raise BindError(
            f"{binding.host}:{binding.port}: cannot listen there ({reason}); choose another --port"
        ) from error
    return listener
