"""The kind of a file from its first bytes."""

from pathlib import Path

from immunopath.domain.errors import ImageReadError

_IMAGES = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),
    (b"MM\x00+", "TIFF"),
    (b"BM", "BMP"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
)
_OTHERS = (
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive (or an office document)"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x89HDF\r\n", "an HDF5 file"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 image"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
    (b"\x7fELF", "a program"),
)
REMEDY = "give a PNG, JPEG or TIFF image"


def sniff(head: bytes, path: Path) -> str:
    """Return PNG, JPEG, TIFF, BMP, GIF or WEBP; raises `ImageReadError` naming anything else."""
    if head[128:132] == b"DICM":
        raise ImageReadError(
            f"{path}: is a DICOM file without a whole slide in it; give one of the VL Whole Slide "
            "Microscopy instances of the series"
        )
    for magic, kind in _IMAGES:
        if head.startswith(magic):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    raise ImageReadError(f"{path}: is not an image but {_described(head)}; {REMEDY}")


def _described(head: bytes) -> str:
    for magic, name in _OTHERS:
        if head.startswith(magic):
            return name
    if not head.strip(b"\x00"):
        return "a block of zeros"
    text = head[:512]
    if head.lstrip()[:1] == b"<":
        return "an XML, SVG or HTML text"
    printable = sum(32 <= byte < 127 or byte in b"\t\r\n" for byte in text)
    return "plain text" if printable > 0.95 * len(text) else "data of an unknown kind"
