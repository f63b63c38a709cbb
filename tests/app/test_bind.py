"""Where the page may listen."""

import socket
from pathlib import Path

import pytest

from immunopath.app.bind import (
    PASSWORD_VARIABLE,
    BindError,
    checked_binding,
    is_loopback,
    listening_socket,
    read_password,
)

SECRET = "correct horse battery"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_this_machine_needs_no_password(host: str) -> None:
    assert checked_binding(host, 7860, None).loopback


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "lab.example", "127.evil", ""])
def test_elsewhere_is_refused_without_a_password(host: str) -> None:
    assert not is_loopback(host)
    with pytest.raises(BindError, match="state a password with --password-file"):
        checked_binding(host, 7860, None)
    assert checked_binding(host, 7860, SECRET).password == SECRET


def test_the_port_must_exist() -> None:
    with pytest.raises(BindError, match="--port 65536: choose 0 to 65535"):
        checked_binding("127.0.0.1", 65536, None)


def test_the_password_is_the_first_line_of_its_file(tmp_path: Path) -> None:
    file = tmp_path / "word"
    file.write_text(f"{SECRET}\nnot this\n")
    assert read_password(file) == SECRET


def test_the_password_may_stand_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PASSWORD_VARIABLE, raising=False)
    assert read_password(None) is None
    monkeypatch.setenv(PASSWORD_VARIABLE, SECRET)
    assert read_password(None) == SECRET
    monkeypatch.setenv(PASSWORD_VARIABLE, "")
    with pytest.raises(BindError, match="at least 12 characters"):
        read_password(None)


@pytest.mark.parametrize(
    ("content", "fault"),
    [(b"short\n", "at least 12"), (b"", "at least 12"), (b"\xff" * 20, "not UTF-8"),
     (b"x" * 5000, "larger than a password")],
)  # fmt: skip
def test_a_poor_password_file_is_named(tmp_path: Path, content: bytes, fault: str) -> None:
    file = tmp_path / "word"
    file.write_bytes(content)
    with pytest.raises(BindError, match=fault) as caught:
        read_password(file)
    assert str(file) in str(caught.value)


def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(BindError, match=f"127.0.0.1:{port}: cannot listen there"):
            listening_socket(checked_binding("127.0.0.1", port, None))


def test_a_free_port_is_found() -> None:
    with listening_socket(checked_binding("localhost", 0, None)) as listener:
        host, port = listener.getsockname()
        assert host == "127.0.0.1"
        assert port > 0
