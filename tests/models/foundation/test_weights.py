"""Weights from folders and from a hub: pinned, digested, and every refusal told apart."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from immunopath.domain.errors import CheckpointError
from immunopath.models.foundation.fetch import pinned_repos
from immunopath.models.foundation.pins import Pin, pin_path, read_pin, write_pin
from immunopath.models.foundation.weights import is_folder, matching_files, resolve_weights

SERVER = Path(__file__).parent / "hub_server.py"
COMMIT = "c" * 40
HEADER = json.dumps({"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
TENSORS = len(HEADER).to_bytes(8, "little") + HEADER + bytes(8)


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    """Two repositories, one of them gated."""
    for name in ("open", "gated"):
        folder = tmp_path / "hub" / "lab" / name
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_bytes(TENSORS)
        (folder / "config.json").write_text('{"model_type": "gemma3"}')
        (folder / "pytorch_model.bin").write_bytes(b"pickle")
        (folder / "modeling.py").write_text("raise SystemExit('code from the hub was run')")
    return tmp_path / "hub"


def ask(
    hub: Path, script: str, *, token: str | None = None, offline: bool = False, home: str = "home"
) -> list[str]:
    """Run `script` in a process of its own against the server; returns the lines it printed."""
    path = hub.parent / "script.py"
    path.write_text(script)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING"))}
    environment |= {"HF_HOME": str(hub.parent / home), "HF_HUB_DISABLE_TELEMETRY": "1"}
    environment |= {"HF_TOKEN": token} if token else {}
    environment |= {"HF_HUB_OFFLINE": "1"} if offline else {}
    done = subprocess.run(
        [sys.executable, str(SERVER), str(hub), str(path)],
        capture_output=True, text=True, env=environment, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()


def refusal(repo: str, revision: str | None = None) -> str:
    return f"""
from immunopath.domain.errors import HubError
from immunopath.models.foundation.weights import resolve_weights
try:
    resolve_weights({repo!r}, revision={revision!r})
except HubError as error:
    print(type(error).__name__)
    print(error)
"""


RESOLVE = """
from immunopath.models.foundation.weights import resolve_weights
w = resolve_weights("lab/open")
print(w.revision)
print(*w.files)
print(w.digest)
print(len(asked))
"""
FETCH = """
from immunopath.models.foundation.fetch import fetch, pinned_repos, verify
got = fetch("lab/open")
print(got.pin.revision, len(got.pin.files), *pinned_repos())
print(*(s.state for s in verify("lab/open")))
"""


def test_only_safe_files_are_fetched_from_the_endpoint_that_is_set(hub: Path) -> None:
    revision, files, digest, requests = ask(hub, RESOLVE)
    assert revision == COMMIT
    assert files.split() == ["config.json", "model.safetensors"]
    assert int(requests) > 0
    again = ask(hub, RESOLVE, offline=True)
    assert again == [revision, files, digest, "0"]  # from the cache, without one request


@pytest.mark.parametrize(
    ("repo", "revision", "token", "offline", "name", "says"),
    [
        ("lab/gated", None, None, False, "HubTokenMissing", "hf auth login"),
        ("lab/gated", None, "stale", False, "HubTokenMissing", "the token is not valid"),
        ("lab/gated", None, "member", False, "HubTermsNotAccepted", "accept the terms at http"),
        ("lab/nothing", None, None, False, "HubNameUnknown", "check the spelling"),
        ("lab/nothing", None, "good", False, "HubNameUnknown", "no such repository"),
        ("lab/open", "v9", None, False, "HubNameUnknown", "no revision 'v9'"),
        ("lab/open", None, None, True, "HubOffline", "HF_HUB_OFFLINE is set"),
    ],
)
def test_refusals_are_told_apart(  # noqa: PLR0917
    hub: Path, repo: str, revision: str | None, token: str | None, offline: bool, name: str,
    says: str,
) -> None:  # fmt: skip
    lines = ask(hub, refusal(repo, revision), token=token, offline=offline)
    assert lines[0] == name
    assert says in lines[1]
    assert repo in lines[1]


def test_a_hub_that_is_not_there_is_offline(hub: Path) -> None:
    script = "import os\nos.environ['HF_ENDPOINT'] = 'http://127.0.0.1:9'\n" + refusal("lab/open")
    name, message = ask(hub, script)
    assert name == "HubOffline"
    assert "http://127.0.0.1:9 was not reached" in message


def test_terms_accepted_and_the_right_token_open_the_gate(hub: Path) -> None:
    assert ask(hub, RESOLVE.replace("lab/open", "lab/gated"), token="good")[0] == COMMIT


def test_fetch_pins_and_verify_finds_what_changed(hub: Path) -> None:
    pin, states = ask(hub, FETCH)
    assert pin == f"{COMMIT} 2 lab/open"
    assert states == "ok ok"
    spoil = """
from pathlib import Path
from huggingface_hub import constants
from immunopath.domain.errors import WeightsCorrupted
from immunopath.models.foundation.fetch import verify
from immunopath.models.foundation.weights import resolve_weights
snapshot = Path(constants.HF_HUB_CACHE) / "models--lab--open" / "snapshots" / ("c" * 40)
config = (snapshot / "config.json").resolve()
config.write_text('{"model_type": "gemmA3"}')
print(*(s.state for s in verify("lab/open")))
try:
    resolve_weights("lab/open")
except WeightsCorrupted as error:
    print(error)
tensors = (snapshot / "model.safetensors").resolve()
tensors.write_bytes(tensors.read_bytes()[:-2])
print(*(s.state for s in verify("lab/open")))
"""
    states, message, later = ask(hub, spoil, offline=True)
    assert states == "differs ok"
    assert "config.json" in message
    assert "models fetch lab/open" in message
    assert later == "differs broken"


def test_the_command_line_fetches_and_says_what_to_carry(hub: Path) -> None:
    script = """
from immunopath.cli.models import fetch_all, verify_all
fetch_all(["lab/open"], None)
print("verified", verify_all([]))
"""
    lines = ask(hub, script)
    assert any(COMMIT in line and "2 files" in line for line in lines)
    assert any(str(hub.parent / "home") in line for line in lines)
    assert lines[-1] == "verified True"


DOCTOR = """
from immunopath.models.foundation.doctor import _files
from immunopath.models.foundation.weights import Source
for repo in ("lab/open", "lab/gated", "lab/nothing"):
    row, here = _files("x", Source(repo))
    assert here == row.detail.startswith("in the cache")
    print(row.state, row.detail, row.remedy, sep="|")
"""


def test_the_doctor_asks_the_hub_only_for_what_is_not_here(hub: Path) -> None:
    can, gated, wrong = ask(hub, DOCTOR)
    assert can.startswith("ok|can be fetched: 0.0 GiB, ")
    assert gated.startswith("missing|HubTokenMissing")
    assert "hf auth login" in gated
    assert wrong.startswith("missing|HubNameUnknown")
    assert ask(hub, DOCTOR, token="member")[1].startswith("missing|HubTermsNotAccepted")
    assert ask(hub, DOCTOR, token="good")[1].startswith("ok|can be fetched")
    ask(hub, FETCH)
    here = ask(hub, DOCTOR + "print(len(asked))", offline=True)
    assert here[0].startswith(f"ok|in the cache at {COMMIT[:12]}, pinned")
    assert here[1].startswith("missing|HubOffline")
    assert here[-1] == "0"


def test_a_pin_that_is_damaged_or_another_s_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HOME", str(tmp_path))
    pin = Pin(repo="lab/open", revision=COMMIT, files={"config.json": "0" * 64})
    path = write_pin(pin)
    assert read_pin("lab/open") == pin
    assert pinned_repos() == ["lab/open"]
    pin_path("lab/other").write_bytes(path.read_bytes())
    with pytest.raises(CheckpointError, match="it is the pin of lab/open"):
        read_pin("lab/other")
    path.write_text('{"repo": "lab/open"')
    for ask_for in (lambda: read_pin("lab/open"), pinned_repos):
        with pytest.raises(CheckpointError, match=r"is not a pin .*delete it and fetch"):
            ask_for()


def test_a_pinned_commit_is_used_even_when_main_moved_on(hub: Path) -> None:
    ask(hub, FETCH)
    script = RESOLVE + 'print(*[a for a in asked if "/revision/main" in a])'
    assert ask(hub, script)[-1] == ""


def test_a_folder_has_a_digest_of_its_weights_and_not_of_our_own_files(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(TENSORS)
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "other.safetensors").write_bytes(TENSORS)
    first = resolve_weights(str(tmp_path))
    assert list(first.files) == ["config.json", "model.safetensors"]
    assert first.files["model.safetensors"] == hashlib.sha256(TENSORS).hexdigest()
    assert first.label == f"sha256-{first.digest[:12]}"
    for name in ("immunopath.json", "immunopath-probe.json"):
        (tmp_path / name).write_text("{}")
    assert resolve_weights(str(tmp_path)).digest == first.digest
    (tmp_path / "config.json").write_text("{ }")
    assert resolve_weights(str(tmp_path)).digest != first.digest
    assert matching_files(tmp_path, ("sub/*",)) == ["sub/other.safetensors"]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such folder"):
        resolve_weights(str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("source", "folder"),
    [("google/medgemma-1.5-4b-it", False), ("gpt2", False), ("/models/x", True), ("./x", True)],
)
def test_what_is_a_folder(source: str, folder: bool) -> None:
    assert is_folder(source) is folder
