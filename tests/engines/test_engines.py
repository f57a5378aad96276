"""A user logs a browser in with a phone, and both run the same engine."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from PIL import Image

from tests.demo.running import RunningDemo
from tests.engines.windows import Window, chromium_90, eventually, firefox, webkit
from tests.render.readers import decode

pytestmark = [pytest.mark.matrix, pytest.mark.timeout(300)]

#: What a person sees, also inside a shadow root: the centre, the text, and whether to press it.
SEEN = """(() => {
  const inside = (root) => [...root.querySelectorAll("*")]
    .flatMap((it) => [it, ...(it.shadowRoot ? inside(it.shadowRoot) : [])]);
  const seen = inside(document).filter((it) => it.matches("h1, h2, p, button, a"))
    .filter((it) => !it.hasAttribute("aria-disabled") && it.getBoundingClientRect().width);
  return seen.map((it) => {
    it.scrollIntoView({ block: "nearest" });
    const box = it.getBoundingClientRect();
    return [Math.round(box.x + box.width / 2), Math.round(box.y + box.height / 2),
      it.textContent.trim(), it.matches("button, a")] });
})()"""


@pytest.fixture(scope="module")
def demo() -> Iterator[RunningDemo]:
    with RunningDemo() as running:
        yield running


#: Whether an element of `SEEN` is the button with this name.
_IS = '(it) => it.matches("button, a") && it.textContent.trim().endsWith("%s")'


def sees(window: Window, text: str) -> None:
    """Waits until the window shows this text."""
    eventually(lambda: any(text in shown for _, _, shown, _ in window.evaluate(SEEN)))


def press(window: Window, name: str) -> None:
    """Presses a button as a person does: not before it can be pressed."""
    found: list[tuple[int, int]] = []

    def look() -> bool:
        seen = window.evaluate(SEEN)
        found[:] = [(x, y) for x, y, text, button in seen if button and text.endswith(name)]
        return bool(found)

    eventually(look)
    time.sleep(0.8)  # buttons do not react for half a second after a view appears
    # `SEEN` scrolls to each text in turn, and the place of the button is that of the last scroll.
    look_at = SEEN.replace("return seen.map(", f"return seen.filter({_IS % name}).map(")
    x, y, *_ = window.evaluate(look_at)[0]
    window.click(x, y)


def scanned(window: Window, picture: Path) -> str:
    """What a decoder reads in a picture of the window."""
    read: list[bytes] = []

    def look() -> bool:
        window.shot(picture)
        read[:] = decode(Image.open(picture))
        return len(read) == 1

    eventually(look)
    return read[0].decode()


@pytest.mark.parametrize("engine", [firefox, webkit, chromium_90])
def test_a_login_and_its_approval_work_in_this_engine(
    engine: Callable[[], AbstractContextManager[Window]], demo: RunningDemo, tmp_path: Path
) -> None:
    with engine() as browser, engine() as phone:
        browser.open(demo.origin)
        phone.open(scanned(browser, tmp_path / "code.png"))
        press(phone, "Alice\u2019s phone")
        sees(phone, "Log this browser in")
        phone.shot(tmp_path / "question.png")
        press(phone, "Yes, log in")
        sees(phone, "Approved")
        sees(browser, "Continue as Alice?")
        browser.shot(tmp_path / "continue.png")
        press(browser, "Continue")
        sees(browser, "You are logged in as Alice")
        sees(phone, "is logged in")
