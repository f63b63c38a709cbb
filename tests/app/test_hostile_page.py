"""What a careless or hostile browser can send: nothing of it ends anybody else's work."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from app_pages import OWN, finished, left_over, page, start
from starlette.testclient import TestClient
from test_parts import hamamatsu, jpeg

from immunopath.app.pages import COOKIE
from immunopath.app.uploads import Limits

OFF = dict.fromkeys(("predictor", "phenotype", "embedder", "drugs"), "none")
FORM = "application/x-www-form-urlencoded"


def session(number: int) -> dict[str, str]:
    return OWN | {"cookie": f"{COOKIE}={number:043d}"}


def test_twenty_at_once_are_run_or_told_to_wait(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each that is taken gets its own report; nobody gets another's."""
    with page(monkeypatch, tmp_path, limits=Limits(max_waiting=3)) as client:

        def send(number: int) -> Any:
            fields = {"example": "lymphocyte-rich", "mpp": "0.5", "case_id": f"c{number}"} | OFF
            return client.post("/runs", data=fields, headers=session(number))

        with ThreadPoolExecutor(20) as threads:
            answers = list(threads.map(send, range(20)))
        taken = [n for n, answer in enumerate(answers) if answer.status_code == 202]
        assert taken
        assert {a.status_code for a in answers} <= {202, 503}
        for number in taken:
            client.cookies.clear()
            client.cookies.set(COOKIE, f"{number:043d}")
            run = finished(client, answers[number])
            assert run["report"]["case_id"] == f"c{number}"
        assert left_over(tmp_path) == []


@pytest.mark.parametrize("address", ["/runs", "/slides"])
@pytest.mark.parametrize(
    "form",
    [
        (b"&".join(b"f%d=x" % n for n in range(10_000)), FORM, "Too many fields"),
        (b"yaml=" + b"x" * (1 << 20), FORM, "exceeded maximum size"),
        (b"example=slide&regions=" + b"0,0,1,1%0A" * 100_000, FORM, "exceeded maximum size"),
        (b"xx", "multipart/form-data", "Missing boundary"),
        (b"xx", "multipart/form-data; boundary=x", "Invalid multipart"),
        (b'{"example": "slide"}', "application/json", "was given; choose|choose one slide"),
        (b"images=/etc/passwd", FORM, "was given; choose|choose one slide"),
    ],
)
def test_a_hostile_form_is_one_line_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, address: str, form: tuple[bytes, str, str]
) -> None:
    content, kind, fault = form
    with page(monkeypatch, tmp_path) as client:
        client.get("/")
        answer = client.post(address, content=content, headers=OWN | {"content-type": kind})
        assert answer.status_code == 400
        said = answer.json()["error"]
        assert any(part in said for part in fault.split("|")), said
        assert len(said) < 200
        assert left_over(tmp_path) == []


@pytest.mark.parametrize("address", ["/runs", "/slides"])
def test_a_connection_that_is_cut_leaves_nothing_and_frees_its_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, address: str
) -> None:
    head = b'--x\r\ncontent-disposition: form-data; name="images"; filename="a.png"\r\n\r\n'
    with page(monkeypatch, tmp_path, limits=Limits(max_waiting=1, max_slides=1)) as client:
        for _ in range(3):
            _cut(client, address, head + b"0" * (3 << 20))
            assert left_over(tmp_path) == []
        fields = {"example": "slide"} | OFF
        answer = client.post(address, data=fields, headers=session(1))
        assert answer.status_code in {200, 202}, answer.text


def _cut(client: TestClient, address: str, body: bytes) -> None:
    """Send half a form and hang up."""
    messages = [
        {"type": "http.request", "body": body, "more_body": True},
        {"type": "http.disconnect"},
    ]
    headers = session(0) | {
        "host": "127.0.0.1", "content-type": "multipart/form-data; boundary=x"
    }  # fmt: skip
    scope = {
        "type": "http", "method": "POST", "path": address, "raw_path": address.encode(),
        "query_string": b"", "root_path": "", "scheme": "http", "http_version": "1.1",
        "headers": [(key.encode(), value.encode()) for key, value in headers.items()],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 7860), "state": {},
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        del message

    assert client.portal is not None
    client.portal.call(client.app, scope, receive, send)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "path",
    [
        "/cohort/..%2f..%2frun.json", "/cohort/%2e%2e/run.json", "/cohort/a%00b", "/cohort/%ff",
        "/cohort/" + "x" * 5000, "/cohort/x/report.%2e%2e", "/slides/%2e%2e/thumbnail.jpg",
        "/slides/x/" + "9" * 60 + ".jpg", "/slides/x/-1.jpg", "/runs/%2e%2e/report.html",
        "/runs/x/report.html%00", "/static/%2e%2e/server.py", "/examples/%2e%2e%2fserver.py",
    ],
)  # fmt: skip
def test_an_address_leads_to_nothing_but_what_the_page_has(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, path: str
) -> None:
    with page(monkeypatch, tmp_path) as client:
        client.get("/")
        answer = client.get(path)
        assert answer.status_code == 404
        assert "\n" not in answer.text


def test_a_name_of_an_upload_is_never_a_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shared_images: Path
) -> None:
    lung = (shared_images / "lung_he_til/u24_cae100/image_99.png").read_bytes()
    below = tmp_path / "app"
    with page(monkeypatch, below) as client:
        client.get("/")
        for name in ("../../../out.png", "/etc/out.png", "..\\..\\out.png", "out.png\x00.txt"):
            files = {"images": (name, lung)}
            answer = client.post("/runs", data={"mpp": "0.5"} | OFF, files=files, headers=OWN)
            assert finished(client, answer)["report"]["case_id"].startswith("out")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["app"]


@pytest.mark.parametrize("address", ["/runs", "/slides"])
def test_an_upload_cannot_show_a_picture_of_this_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, address: str
) -> None:
    """OpenSlide would open what a list of files names, wherever that is."""
    jpeg(tmp_path / "secret.jpg")
    stray = hamamatsu(tmp_path / "a.svs", f"/{tmp_path}/secret.jpg", f"/{tmp_path}/secret.jpg")
    with page(monkeypatch, tmp_path / "app") as client:
        client.get("/")
        files = {"images": ("a.svs", stray.read_bytes())}
        answer = client.post(address, data={"mpp": "0.5"}, files=files, headers=OWN)
        said = finished(client, answer) if address == "/runs" else answer.json()
        assert said["error"].startswith("a.svs: names a file outside its own folder")
        assert left_over(tmp_path / "app") == []


def test_an_odd_page_or_search_of_the_cohort_is_an_ordinary_page(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with page(monkeypatch, tmp_path) as client:
        for query in ("page=-1", "page=" + "9" * 40, "page=%D9%A3", "find=" + "x" * 20_000,
                      "find=%00%0d%0aset-cookie:x"):  # fmt: skip
            answer = client.get(f"/cohort?{query}")
            assert answer.status_code == 200
            assert "set-cookie:x" not in str(answer.headers).lower()


def test_a_run_does_not_need_its_browser(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever comes back finds the report; whoever does not leaves no image behind."""
    with page(monkeypatch, tmp_path) as client:
        answer = start(client, example="slide", regions="513,513,513,513", **OFF)
        mine = dict(client.cookies)
        client.cookies.clear()
        client.cookies.update(mine)
        assert finished(client, answer)["state"] == "done"
        assert left_over(tmp_path) == []
