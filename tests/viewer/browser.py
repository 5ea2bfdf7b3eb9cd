"""A reader at OHIF: opens studies and series, steps, pans, and tells what is on the screen."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from playwright.sync_api import Page, sync_playwright

from .screen import Screen, screen

CHROMIUM = Path("/usr/bin/chromium")
WIDTH, HEIGHT = 1600, 1000
PATIENCE = 60_000
"""Milliseconds for anything to appear: software rendering on two busy cores is slow."""
ARROWS: Final = "No image URI found for"
EMPTY_REPORT: Final = "Route viewer Error Boundary TypeError: Cannot destructure property 'displaySetInstanceUID' of 'measurement'"
"""Starts of errors that are OHIF's own, each tolerated only where README.md says."""

_SCREEN = (Path(__file__).parent / "ohif" / "screen.js").read_text(encoding="utf-8")
_THUMBNAIL = "[data-cy^=study-browser-thumbnail]"
_READY = """(wanted) => {
  const { viewports, activeViewportId } = services.viewportGridService.getState();
  const viewport = services.cornerstoneViewportService.getCornerstoneViewport(activeViewportId);
  const held = viewports.get(activeViewportId)?.displaySetInstanceUIDs?.[0];
  return held === wanted && viewport?.viewportStatus === 'rendered';
}"""
_SET_UP = """
localStorage.setItem('shownTours', JSON.stringify(['basicViewerTour']));
sessionStorage.setItem('investigationalUseDialog', 'hidden');
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """An entry of OHIF's series list. key: OHIF's own name of it."""

    key: str
    modality: str
    number: int
    description: str


class Reader:
    """One browser window. `problems` collects what the browser complained of: console errors, failed or foreign requests."""

    def __init__(self, page: Page, url: str) -> None:
        self._page, self._url = page, url
        self.problems: list[str] = []
        self.tolerated: list[str] = []
        self._tolerating = ""
        page.set_default_timeout(PATIENCE)
        page.add_init_script(_SET_UP)
        page.on("console", lambda message: self._heard(message.type, message.text))
        page.on("pageerror", lambda error: self._complain(f"exception: {error}"))
        page.on("requestfailed", lambda request: self._complain(f"request failed: {request.url}: {request.failure}"))
        page.on("response", lambda answer: self._complain(f"HTTP {answer.status}: {answer.url}") if answer.status >= 400 else None)
        page.on("request", lambda request: self._foreign(request.url))

    @contextmanager
    def tolerating(self, start: str) -> Iterator[None]:
        """Meanwhile an error that starts so is OHIF's own; the page is given time to raise it."""
        self._tolerating = start
        try:
            yield
            self.settle()
        finally:
            self._tolerating = ""

    def _heard(self, kind: str, text: str) -> None:
        # OHIF logs what its error boundary caught as a debug message, and shows "Something went wrong"
        if kind == "error" or "Error Boundary" in text:
            self._complain(text)

    def _complain(self, text: str) -> None:
        tolerated = self._tolerating and text.startswith(self._tolerating)
        (self.tolerated if tolerated else self.problems).append(text.splitlines()[0])

    def _foreign(self, address: str) -> None:
        if not address.startswith((self._url, f"blob:{self._url}", "data:")):
            self.problems.append(f"left for another host: {address}")

    def study_list(self, count: int) -> list[str]:
        """The rows of the study list, once there are `count`."""
        self._page.goto(self._url)
        rows = self._page.locator("tbody tr").filter(has_text="VIEW-")
        rows.nth(count - 1).wait_for()
        return [" ".join(row.split()) for row in rows.all_inner_texts()]

    def open_study(self, study_instance_uid: str, series: int) -> None:
        self._page.goto(f"{self._url}/viewer?StudyInstanceUIDs={study_instance_uid}")
        self._page.locator(_THUMBNAIL).nth(series - 1).wait_for()
        self._page.wait_for_function(
            """() => services.cornerstoneViewportService.getCornerstoneViewport(
              services.viewportGridService.getActiveViewportId())?.viewportStatus === 'rendered'"""
        )

    def series(self) -> list[Series]:
        """The series list from its top."""
        found = self._page.evaluate(
            """(thumbnails) => [...document.querySelectorAll(thumbnails)].map(element => {
              const key = element.id.replace('thumbnail-', '');
              const { Modality, SeriesNumber, SeriesDescription } = services.displaySetService.getDisplaySetByUID(key);
              return [key, Modality, SeriesNumber, SeriesDescription];
            })""",
            _THUMBNAIL,
        )
        return [Series(key=key, modality=modality, number=int(number), description=text) for key, modality, number, text in found]

    def open_series(self, series: Series, *, draws: bool = True) -> None:
        """draws: wait until the viewport has drawn it; what draws nothing is only waited for to be loaded."""
        self._page.locator(f"[id='thumbnail-{series.key}']").dblclick()
        if draws:
            self._page.wait_for_function(_READY, arg=series.key)
        else:
            self._page.wait_for_function("(key) => services.displaySetService.getDisplaySetByUID(key).isLoaded", arg=series.key)

    def labels_loaded(self, series: Series) -> list[tuple[str, list[str]]]:
        """What OHIF has read of a report, drawn or not: per measurement its image and its label's lines."""
        found = self._page.evaluate(
            """(key) => services.displaySetService.getDisplaySetByUID(key).measurements.map(
              one => [one.imageId, one.labels.map(label => `${label.label}: ${label.value}`)])""",
            series.key,
        )
        return [(image.split("/instances/")[1].split("/")[0], lines) for image, lines in found]

    def wait_for_rectangle(self) -> None:
        self._page.locator("svg.svg-layer polyline").first.wait_for(state="attached")
        self._page.locator("svg.svg-layer text").first.wait_for(state="attached")

    def screen(self) -> Screen | None:
        values = self._page.evaluate(_SCREEN)
        return screen(values) if values else None

    def decline_tracking(self) -> None:
        """OHIF asks whether to go on measuring; a reader who only reads says no."""
        self._page.get_by_role("button", name="No", exact=True).click()

    def next_measurement(self) -> None:
        self._page.locator("[data-cy=viewport-action-arrows-right]").click()
        self.settle()

    def next_image(self, index: int) -> None:
        self._page.keyboard.press("ArrowDown")
        self._page.wait_for_function(
            """(index) => { const viewport = services.cornerstoneViewportService.getCornerstoneViewport(
              services.viewportGridService.getActiveViewportId());
              return viewport.getCurrentImageIdIndex() === index && viewport.viewportStatus === 'rendered'; }""",
            arg=index,
        )

    def pan(self, seen: Screen, right: float, down: float) -> None:
        """Drags the picture with the middle button, as OHIF binds it."""
        x, y = (seen.pane[0] + seen.pane[2]) / 2, (seen.pane[1] + seen.pane[3]) / 2
        self._page.mouse.move(x, y)
        self._page.mouse.down(button="middle")
        self._page.mouse.move(x + right, y + down, steps=4)
        self._page.mouse.up(button="middle")
        self.settle()

    def settle(self) -> None:
        """Until the browser has drawn what it was told."""
        self._page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 400))))")

    def picture(self, file: Path) -> bytes:
        """The window as PNG, also written to a file."""
        file.parent.mkdir(parents=True, exist_ok=True)
        return self._page.screenshot(path=file)


@contextmanager
def reader(url: str) -> Iterator[Reader]:
    """Headless Chromium with software WebGL; gone afterwards, whatever happens."""
    arguments = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")  # Chromium's sandbox refuses to run as root
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        try:
            yield Reader(browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}), url)
        finally:
            browser.close()
