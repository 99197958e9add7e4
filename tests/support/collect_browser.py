"""Participants of a study in a browser, several at the same time."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_LOOK = """() => {
  const shown = (query) => [...document.querySelectorAll(query)].find((e) => e.checkVisibility());
  const h1 = document.querySelector('h1');
  return {
    title: h1 ? h1.textContent : '',
    position: document.querySelector('main').dataset.position ?? null,
    ready: Boolean(shown('fieldset.answers:enabled')),
    next: Boolean(shown('form button[type=submit]:enabled')),
    trap: shown('#trap')?.textContent ?? null,
    plays: shown('.clips ~ .row button:enabled')?.textContent ?? null,
  };
}"""


def look(page: Any) -> dict[str, Any]:
    """What the page shows."""
    seen: dict[str, Any] = page.evaluate(_LOOK)
    return seen


@dataclass
class Visitor:
    """Somebody who takes part; one step at a time, so that several can at once.

    Attributes:
        page: The browser's page.
        folder: Folder of the study.
        kind: Kind of study.
        manner: `mouse`, or `keyboard` for a participant without a mouse.
        given: Position to what was answered.
    """

    page: Any
    folder: Path
    kind: str
    manner: str = "mouse"
    given: dict[int, dict[str, Any]] = field(default_factory=dict)
    finished: bool = False
    code: str = ""

    def press(self, name: str) -> None:
        """Press a button."""
        target = self.page.get_by_role("button", name=name, exact=True)
        if self.manner == "keyboard":
            target.focus()
            self.page.keyboard.press("Enter")
        else:
            target.click()

    def step(self) -> bool:
        """Do the next thing, if there is one to do."""
        seen = look(self.page)
        title = seen["title"]
        if title.endswith("Taking part"):
            self.press("I agree and take part")
            self.page.wait_for_selector("#own-code")
        elif title == "Your code":
            self.code = self.page.inner_text("#own-code")
            self.press("Continue")
            self.page.wait_for_selector("#own-code", state="detached")
        elif title == "Headphones":
            study = json.loads((self.folder / "study.json").read_text())
            sound = self.page.evaluate(
                "() => performance.getEntriesByType('resource').map((e) => e.name)"
                ".filter((n) => n.endsWith('.wav')).pop()"
            )
            tests = {item["name"]: item["digits"] for item in study["headphone_tests"]}
            name = (sound or "").rpartition("/")[2]
            if name not in tests:
                self.press("Play the tones")
                return False
            self.page.fill("#digits", tests[name])
            self.press("Check")
            self.page.wait_for_selector("#digits", state="detached")
        elif title.startswith(("Practice", "Session")) and seen["position"] is None:
            self.press("Start")
            self.page.wait_for_selector("main[data-position]")
        elif title == "Thank you":
            self.finished = True
        elif seen["position"] is not None and seen["ready"]:
            self.answer(int(seen["position"]), seen["trap"])
        else:
            return False
        return True

    def answer(self, position: int, trap: str | None = None) -> None:
        """Answer the presentation that was watched."""
        page = self.page
        page.wait_for_selector("fieldset.answers:enabled")
        given: dict[str, Any] = {}
        if self.kind == "pairwise":
            side = "left" if position % 2 else "right"
            if trap:
                side = "left" if "choose A" in trap else "right"
            self.choose(page.locator(f"input[value={side}]"))
            given["choice"] = side
        else:
            wanted = None if trap is None else trap.partition("give ")[2].partition(" ")[0]
            names = ("quality", "authenticity") if self.kind != "score" else ("quality",)
            given["scores"] = {name: self.slide(name, position, wanted) for name in names}
        if self.kind == "score":
            ticked = page.locator("input[type=checkbox]").nth(position % 12)
            self.choose(ticked)
            given["distortions"] = [ticked.get_attribute("value")]
        if self.kind == "sliders-and-marks":
            given["marks"] = self.mark(position)
            page.fill("#text", f"something odd, {position}")
            given["text"] = f"something odd, {position}"
        self.given[position] = given
        self.press("Next")
        page.wait_for_function(
            "(p) => document.querySelector('main').dataset.position !== p", arg=str(position)
        )

    def choose(self, control: Any) -> None:
        """Choose a radio button or a box."""
        if self.manner == "keyboard":
            control.focus()
            self.page.keyboard.press("Space")
        else:
            control.click()

    def slide(self, name: str, position: int, wanted: str | None) -> float:
        """Set a slider, and say to what."""
        slider = self.page.locator(f"#score-{name}")
        assert slider.get_attribute("aria-valuetext") == "not answered yet"
        if wanted is not None:
            slider.focus()
            self.page.keyboard.press(wanted)
        elif self.manner == "keyboard":
            slider.focus()
            self.page.keyboard.press(str(position % 6))
            self.page.keyboard.press("ArrowRight" if position % 2 else "ArrowLeft")
        else:
            box = slider.bounding_box()
            slider.click(
                position={"x": box["width"] * (0.15 + 0.04 * position), "y": box["height"] / 2}
            )
        return float(self.page.inner_text(f"output[for=score-{name}]"))

    def mark(self, position: int) -> list[list[int]]:
        """Mark two places, and take a third back."""
        picture = self.page.locator(".still svg")
        if self.manner == "keyboard":
            picture.focus()
            for key in ["Shift+ArrowLeft"] * (position % 5) + ["Alt+ArrowDown"] * 3 + ["Enter"]:
                self.page.keyboard.press(key)
            for key in ("Shift+ArrowRight", "ArrowUp", "Enter", "ArrowUp", "Enter", "Backspace"):
                self.page.keyboard.press(key)
        else:
            box = picture.bounding_box()
            for x, y in ((0.1 + 0.03 * position, 0.25), (0.7, 0.6), (0.5, 0.5)):
                picture.click(position={"x": x * box["width"], "y": y * box["height"]})
            self.press("Undo the last mark")
        dots = self.page.eval_on_selector_all(
            ".still circle",
            "all => all.map((c) => [c.cx.baseVal.value - 0.5, c.cy.baseVal.value - 0.5])",
        )
        assert len(dots) == 2
        return [[int(x), int(y)] for x, y in dots]


def take_part(visitors: list[Visitor], seconds: float = 600.0) -> None:
    """Let everybody finish, side by side."""
    until = time.monotonic() + seconds
    while not all(visitor.finished for visitor in visitors):
        assert time.monotonic() < until, [
            look(visitor.page) for visitor in visitors if not visitor.finished
        ]
        busy = [visitor.step() for visitor in visitors if not visitor.finished]
        if not any(busy):
            visitors[0].page.wait_for_timeout(100)
