"""What passes the guard, and the headers of all answers."""

from pathlib import Path

import pytest
from app_pages import OWN, left_over, page

from immunopath.app.bind import Binding
from immunopath.app.uploads import Limits

SECRET = "correct horse battery"


def test_another_name_for_this_machine_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with page(monkeypatch, tmp_path) as client:
        for host in ("localhost:7860", "127.0.0.1:7860", "[::1]:7860", "localhost"):
            assert client.get("/", headers={"host": host}).status_code == 200
        for host in ("evil.example", "127.evil.example:7860", "localhost.evil.example", ""):
            assert client.get("/", headers={"host": host}).status_code == 403


def test_an_open_address_asks_for_its_password_everywhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with page(monkeypatch, tmp_path, binding=Binding("0.0.0.0", 7860, SECRET)) as client:
        for path in ("/", "/cohort", "/static/app.js", "/examples/lymphocyte-rich", "/runs/x"):
            assert client.get(path).status_code == 401
            assert client.get(path, auth=("any", "wrong")).status_code == 401
        assert client.post("/runs", headers=OWN).status_code == 401
        for broken in ("Basic", "Basic %%%", "Bearer x", f"Basic {SECRET}"):
            assert client.get("/", headers={"authorization": broken}).status_code == 401
        assert client.get("/", auth=("any", SECRET)).status_code == 200


def test_another_site_cannot_start_or_delete_a_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with page(monkeypatch, tmp_path) as client:
        client.get("/")
        assert client.post("/runs", data={"example": "lymphocyte-rich"}).status_code == 403
        assert client.delete("/runs/x").status_code == 403
        for site in ("cross-site", "same-site", "none"):
            answer = client.delete("/runs/x", headers=OWN | {"sec-fetch-site": site})
            assert answer.status_code == 403, site
        own = OWN | {"sec-fetch-site": "same-origin"}
        assert client.delete("/runs/x", headers=own).status_code == 204
        asked = {"origin": "http://evil.example", "access-control-request-headers": "x-immunopath"}
        assert client.options("/runs", headers=asked).status_code == 403


@pytest.mark.parametrize("stated", [True, False])
def test_a_body_that_is_too_large_is_refused_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stated: bool
) -> None:
    """Also when the browser does not say how much it will send."""
    head = b'--x\r\ncontent-disposition: form-data; name="images"; filename="a.png"\r\n\r\n'
    body = head + b"0" * (3 << 20)
    parts = body if stated else (body[i : i + 65536] for i in range(0, len(body), 65536))
    with page(monkeypatch, tmp_path, limits=Limits(max_bytes=1 << 20)) as client:
        client.get("/")
        kind = {"content-type": "multipart/form-data; boundary=x"}
        answer = client.post("/runs", content=parts, headers=OWN | kind)
        assert answer.status_code == 413
        assert "larger than" in answer.text
        assert left_over(tmp_path) == []


def test_the_page_may_ask_nobody_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with page(monkeypatch, tmp_path) as client:
        answer = client.get("/")
        assert "default-src 'none'; script-src 'self';" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        pages = [client.get(path).text for path in ("/", "/cohort", "/static/app.css")]
        assert not any("http://" in text or "https://" in text for text in pages)


def test_no_file_but_the_pages_own_is_served(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with page(monkeypatch, tmp_path) as client:
        for path in ("/static/../server.py", "/static/%2e%2e%2fserver.py", "/static/x.css",
                     "/examples/SOURCES.md", "/examples/..%2fserver.py"):  # fmt: skip
            assert client.get(path).status_code == 404, path
