"""Write docs/guidelines.md from the knowledge files; ``--check`` says whether it is current."""

import sys
from pathlib import Path

from immunopath.guidelines.page import COMMAND, guideline_page

TARGET = Path(__file__).parents[1] / "docs" / "guidelines.md"


def main() -> int:
    page = guideline_page()
    if "--check" in sys.argv[1:]:
        current = TARGET.is_file() and TARGET.read_text("utf-8") == page
        print(f"{TARGET.name}: {'current' if current else f'not current; run {COMMAND}'}")
        return 0 if current else 1
    TARGET.write_text(page, encoding="utf-8")
    print(f"{TARGET.name}: {len(page.splitlines())} lines")
    return 0


if __name__ == "__main__":
    sys.exit(main())
