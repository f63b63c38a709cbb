"""A folder and a manifest of a thousand rows that mean harm."""

import os
import struct
import zlib
from pathlib import Path

ROWS = 1000
SIGNS = ("=", "+", "-", "@", "\t=", "\r=", " =", "=HYPERLINK")
CLINICAL = (
    "histology", "stage", "drivers", "pdl1_tps", "tmb", "msi", "ecog", "diagnosed_on",
    "metastatic_sites", "prior_therapies", "line",
)  # fmt: skip
HOSTILE_IDS = (
    "CON", "nul.json", "..", ".", "a/b", "/etc/passwd", "C:\\x", "~", "a\x00b", "x" * 190,
    "\u202egnp.exe", "🦠", "'; DROP TABLE", "<script>", "${HOME}", "%2e%2e", "\ud800",
)  # fmt: skip
TWINS = ("twin", "twin", "caf\u00e9", "cafe\u0301", "ﬁn", "fin", "A\u200bB", "AB")
DIFFER = ("Same", "same", "SAME")
"""Ids that differ in case only are different: so are the names of their files."""


def huge_png() -> bytes:
    """A PNG that claims 60 000 x 60 000 pixels."""
    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(b"\0" * 1000)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def make_hostile(made: Path, lung: Path) -> Path:
    """Make a folder of files that nobody should have to read; `lung`: one that can be."""
    made.mkdir()
    (made / "loop_a").symlink_to("loop_b")
    (made / "loop_b").symlink_to("loop_a")
    (made / "self").symlink_to("self")
    (made / "up").symlink_to("..")
    (made / "zero").symlink_to("/dev/zero")
    (made / "kernel").symlink_to("/proc/kmsg")
    os.mkfifo(made / "pipe")
    (made / "huge.png").write_bytes(huge_png())
    (made / "cut.png").write_bytes(lung.read_bytes()[:4000])
    (made / "text.png").write_text("no image")
    (made / "empty.png").touch()
    with (made / "holes.png").open("wb") as stream:
        stream.truncate(10**12)
    (made / "good.png").write_bytes(lung.read_bytes())
    (made.parent / "secret.yaml").write_text("stage: IVB\n")
    return made


def hostile_rows() -> list[dict[str, object]]:
    good = "good.png"
    rows: list[dict[str, object]] = [{"case_id": name, "images": good} for name in HOSTILE_IDS]
    rows += [{"case_id": name, "images": good} for name in (*TWINS, *DIFFER)]
    rows += [{"case_id": f"{sign}cmd|1", "patient_id": f"{sign}2", "images": good}
             for sign in SIGNS]  # fmt: skip
    files = ("loop_a", "self", "up/up/up", "zero", "kernel", "pipe", "huge.png", "cut.png",
             "text.png", "empty.png", "holes.png", "../../../../etc/passwd", "/etc/shadow",
             "gone.png", ".", "a\x00b", "x" * 300, "=1+1", "good.png;zero", ";", "http://x/y.png",
             "\\\\host\\share")  # fmt: skip
    rows += [{"case_id": f"file {n}", "images": name} for n, name in enumerate(files)]
    rows += [{"case_id": f"{key} {sign}", "images": good, key: f"{sign}1+1"}
             for key in CLINICAL for sign in SIGNS[:5]]  # fmt: skip
    yamls = ("pipe", "zero", "loop_a", "kernel", "huge.png", "../secret.yaml")
    rows += [{"case_id": f"clinical {n}", "images": good, "clinical": name}
             for n, name in enumerate(yamls)]  # fmt: skip
    rows += [{"case_id": "", "images": good}, {"images": good}, {"case_id": 1.5, "images": good}]
    rows += [{"case_id": f"mpp {n}", "images": good, "mpp": value}
             for n, value in enumerate(("=0.5", "NaN", "inf", -1, 0, "1e400", True))]  # fmt: skip
    number = 0
    while len(rows) < ROWS:
        kind = files[number % len(files)]
        rows.append({"case_id": f"{SIGNS[number % 8]}fill {number}", "images": kind})
        number += 1
    return rows
