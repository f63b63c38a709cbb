"""What a person does on the page, in headless Chromium; what was seen goes to stdout as JSON.

A process of its own: the suite's own has no network. Arguments: Chromium, the page's address, a
folder for downloads, an H&E image, an image that is none, a text file, a slide.
"""

import json
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

FLAGS = (
    "--no-sandbox",
    "--disable-background-networking",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
PATIENCE_MS = 60_000
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
TWO_FRAMES = "() => new Promise(go => requestAnimationFrame(() => requestAnimationFrame(go)))"
BANNER = "document.querySelector('.banner').getBoundingClientRect().top"


def run_case(page: Page, image: str, **fields: str) -> None:
    """Upload, fill in, start."""
    page.set_input_files("#images", image)
    for name, value in fields.items():
        page.fill(f"[name={name}]", value)
    page.click("#run")


def layout(page: Page) -> dict[str, Any]:
    """Return, for both widths, what sticks out and where the banner is once scrolled down.

    A new width reaches the page only with its next frames, so what is measured is after them.
    """
    seen = {}
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 844})
        page.wait_for_function("width => window.innerWidth === width", arg=width)
        page.evaluate(TWO_FRAMES)
        page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
        page.evaluate(TWO_FRAMES)
        seen[width] = {"overflow": page.evaluate(OVERFLOW), "banner": page.evaluate(BANNER)}
    return seen


def whole_case(page: Page, out: Path, image: str) -> dict[str, Any]:
    """Upload → run → report → every download; the page loaded again finds the report again."""
    page.select_option("[name=histology]", "adenocarcinoma")
    run_case(page, image, mpp="0.5", case_id="seen in a browser")
    page.wait_for_selector("#result:not([hidden])", timeout=PATIENCE_MS)
    frame = page.frame_locator("#report")
    frame.locator("h1").wait_for()
    names = {}
    for name in ("html", "json", "md", "fhir"):
        with page.expect_download() as waited:
            page.click(f"#result a[data-format={name}]")
        waited.value.save_as(out / f"report.{name}")
        names[name] = waited.value.suggested_filename
    page.reload()
    frame.locator("h1").wait_for(timeout=PATIENCE_MS)
    nodes = page.locator("[data-agent]")
    return {
        "title": frame.locator("h1").inner_text(),
        "nodes": {n.get_attribute("data-agent"): n.inner_text() for n in nodes.all()},
        "files": names,
        "layout": layout(page),
        "address": page.locator("#result .downloads a").first.get_attribute("href"),
    }


def press(page: Page, *keys: str) -> None:
    """Press keys one after the other."""
    for key in keys:
        page.keyboard.press(key)


def picked_by_keyboard(page: Page, url: str, slide: str) -> dict[str, Any]:
    """Pick two squares of an uploaded slide without a mouse, and run them."""
    page.goto(url)
    page.set_input_files("#images", slide)
    page.focus("#show-tiles")
    press(page, "Enter")
    page.wait_for_selector("#slide-view:not([hidden])", timeout=PATIENCE_MS)
    press(page, "Tab", "Space", "ArrowDown", "Space", "ArrowRight", "Space", "Space")
    page.wait_for_selector("#closer:not([hidden])", timeout=PATIENCE_MS)
    seen = {
        "facts": page.inner_text("#slide-facts"),
        "squares": page.locator(".place").count(),
        "on": page.evaluate("document.activeElement.getAttribute('aria-label')"),
        "regions": page.input_value("#regions").split(),
        "picked": page.inner_text("#picked"),
        "drawn": page.evaluate("document.querySelector('#slide-map image').getBBox().width"),
        "layout": layout(page),
    }
    page.focus("#run")
    press(page, "Enter")
    page.wait_for_selector("#result:not([hidden])", timeout=PATIENCE_MS)
    return seen | {
        "report": page.frame_locator("#report").locator("#sampling").inner_text(),
        "after": page.inner_text("#slide-state"),
    }


def picked_with_a_pointer(page: Page, url: str) -> dict[str, Any]:
    """Pick and unpick a square of the example, name a region outside, then take all back."""
    page.goto(url)
    page.click(".example >> nth=2")
    page.click("#show-tiles")
    page.wait_for_selector("#slide-view:not([hidden])", timeout=PATIENCE_MS)
    page.click(".place >> nth=4")
    seen = {"one": page.get_attribute(".place >> nth=4", "aria-checked")}
    page.click("#larger")
    sizes = ("clientWidth", "querySelector('svg').getBoundingClientRect().width")
    frame, drawn = (page.evaluate(f"document.querySelector('.map-frame').{s}") for s in sizes)
    seen["larger"] = f"{drawn / frame:.0f} {page.is_disabled('#larger')}"
    page.click(".place >> nth=4")
    seen["none"] = page.inner_text("#picked")
    page.click("#by-numbers summary")
    page.fill("#regions", "9,9,9")
    seen["odd"] = page.inner_text("#picked")
    page.fill("#regions", "1600,1600,500,500")
    seen["drawn"] = str(page.locator(".by-hand").count())
    page.click("#run")
    page.wait_for_selector("#error:not([hidden])")
    seen["outside"] = page.inner_text("#error")
    at = page.locator("#slide-map image").get_attribute("href") or ""
    seen["kept"] = str(page.request.get(url.rstrip("/") + at).status)
    page.click("#clear")
    seen["cleared"] = page.input_value("#regions") + page.input_value("#slide")
    page.click(".example >> nth=2")
    page.click("#show-tiles")
    page.wait_for_selector("#slide-view:not([hidden])", timeout=PATIENCE_MS)
    at = page.locator("#slide-map image").get_attribute("href") or ""
    page.goto(url)
    seen["left"] = str(page.request.get(url.rstrip("/") + at).status)
    return seen


def without_script(browser: Browser, url: str) -> str:
    """Return what the page says where scripts are off."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(url)
    said = page.locator("noscript").inner_text()
    context.close()
    return said


def faults(page: Page, url: str, refused: str, text: str) -> dict[str, Any]:
    """No image, a refused image, a file that is none, a wrong fact."""
    page.goto(url)
    page.click("#run")
    seen = {"none": page.locator("#error").inner_text()}
    run_case(page, refused, mpp="0.5")
    page.wait_for_selector("#result:not([hidden])", timeout=PATIENCE_MS)
    seen["refused"] = page.locator("#verdict").inner_text()
    page.goto(url)
    run_case(page, text)
    page.wait_for_selector("#error:not([hidden])", timeout=PATIENCE_MS)
    seen["text"] = page.locator("#error").inner_text()
    page.goto(url)
    page.click(".example >> nth=0")
    page.fill("[name=age]", "ninety")
    page.click("#run")
    page.wait_for_selector("#error:not([hidden])", timeout=PATIENCE_MS)
    seen["fact"] = page.locator("#error").inner_text()
    return seen


def cohort(page: Page, url: str) -> dict[str, Any]:
    """The worklist, a case with a name as long as one may be, and an ordinary one."""
    page.goto(f"{url}cohort")
    seen = {"layout": layout(page)}
    page.click(f".worklist a:text-is('{'x' * 200}')")
    seen["long"] = layout(page)
    page.click(".back a")
    page.click(".worklist a:text-is('of the cohort')")
    frame = page.frame_locator("iframe")
    frame.locator("h1").wait_for()
    return seen | {"title": frame.locator("h1").inner_text()}


def everything(browser: Browser, url: str, out: str, *images: str) -> dict[str, Any]:
    """Do it all; then another browser tries the report's address."""
    image, refused, text, slide = images
    context = browser.new_context(viewport={"width": 1280, "height": 844}, accept_downloads=True)
    page = context.new_page()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda line: said.append(line.text) if line.type == "error" else None)
    page.goto(url)
    seen: dict[str, Any] = {"empty": layout(page)}
    seen["case"] = whole_case(page, Path(out), image)
    seen["console"] = list(said)
    other = browser.new_context().new_page()
    other.goto(url)
    answer = other.request.get(url.rstrip("/") + str(seen["case"]["address"]))
    seen["other_browser"] = answer.status
    seen["faults"] = faults(page, url, refused, text)
    said.clear()
    seen["keyboard"] = picked_by_keyboard(page, url, slide) | {"console": list(said)}
    seen["pointer"] = picked_with_a_pointer(page, url)
    seen["without_script"] = without_script(browser, url)
    seen["cohort"] = cohort(page, url)
    seen["hosts"] = sorted({u.split("/")[2] if "://" in u else u.split(":")[0] for u in asked})
    return seen


def main(chromium: str, *words: str) -> None:
    """Print what was seen."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=list(FLAGS))
        seen = everything(browser, *words)
        browser.close()
    sys.stdout.write(json.dumps(seen))


if __name__ == "__main__":
    main(*sys.argv[1:])
