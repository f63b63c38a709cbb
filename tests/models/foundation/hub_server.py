"""A small server that answers as the hub does, for subprocesses that may use a socket.

Run as a script: ``python hub_server.py FOLDER SCRIPT``. It serves ``FOLDER/<owner>/<name>/*`` at
one commit each, sets ``HF_ENDPOINT`` to itself and runs SCRIPT in this process. Repositories whose
name begins with ``gated`` want the token ``good``; ``member`` is a token without access.
"""

import hashlib
import json
import os
import runpy
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "c" * 40


class Hub(BaseHTTPRequestHandler):
    """GET and HEAD of model info, trees and files."""

    root: Path
    asked: list[str]

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def log_message(self, *args: object) -> None:
        pass

    def _answer(self, *, body: bool) -> None:
        path = self.path.partition("?")[0]
        self.asked.append(path)
        parts = path.strip("/").split("/")
        api = parts[:2] == ["api", "models"]
        owner_name = parts[2:4] if api else parts[:2]
        folder = self.root.joinpath(*owner_name)
        if len(owner_name) < 2 or not folder.is_dir():
            signed_in = "Authorization" in self.headers
            self._send(404 if signed_in else 401, b"", {"X-Error-Code": "RepoNotFound"}, body)
        elif api:
            self._api(folder, parts[4:], body)
        else:
            self._file(folder, parts[2:], body)

    def _api(self, folder: Path, rest: list[str], body: bool) -> None:
        if rest[:1] == ["auth-check"]:
            if not self._refused(folder, body):
                self._json({}, body)
            return
        if len(rest) > 1 and rest[1] not in {"main", COMMIT}:
            self._send(404, b"", {"X-Error-Code": "RevisionNotFound"}, body)
            return
        files = sorted(p for p in folder.rglob("*") if p.is_file())
        if rest[:1] == ["tree"]:
            self._json(
                [
                    {"type": "file", "path": p.relative_to(folder).as_posix(),
                     "size": p.stat().st_size, "oid": _etag(p)}
                    for p in files
                ],
                body,
            )  # fmt: skip
            return
        siblings = [
            {"rfilename": p.relative_to(folder).as_posix(), "size": p.stat().st_size} for p in files
        ]
        name = f"{folder.parent.name}/{folder.name}"
        self._json({"id": name, "modelId": name, "sha": COMMIT, "siblings": siblings}, body)

    def _file(self, folder: Path, rest: list[str], body: bool) -> None:
        path = folder.joinpath(*rest[2:])
        if self._refused(folder, body):
            return
        if rest[:1] != ["resolve"] or not path.is_file():
            self._send(404, b"", {"X-Error-Code": "EntryNotFound"}, body)
            return
        self._send(200, path.read_bytes(), {"ETag": f'"{_etag(path)}"'}, body)

    def _refused(self, folder: Path, body: bool) -> bool:
        if not folder.name.startswith("gated"):
            return False
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token == "good":
            return False
        known = token == "member"
        self._send(403 if known else 401, b"", {"X-Error-Code": "GatedRepo"}, body)
        return True

    def _json(self, content: object, body: bool) -> None:
        self._send(200, json.dumps(content).encode(), {"Content-Type": "application/json"}, body)

    def _send(self, code: int, content: bytes, headers: dict[str, str], body: bool) -> None:
        self.send_response(code)
        for key, value in {"X-Repo-Commit": COMMIT, **headers}.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)


def _etag(path: Path) -> str:
    return hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest()


def main(root: str, script: str) -> None:
    Hub.root, Hub.asked = Path(root), []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    os.environ["HF_ENDPOINT"] = f"http://127.0.0.1:{server.server_port}"
    runpy.run_path(script, init_globals={"asked": Hub.asked}, run_name="__main__")


if __name__ == "__main__":
    main(*sys.argv[1:])
