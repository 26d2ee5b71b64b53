"""Make docs/howto/label.png, the labelling page at work: `python docs/make_label_picture.py`.

The group photo on it is made of the guide's drawn faces, for no person's face belongs here. It
needs Playwright and a Chromium, as the tests of the page do.
"""

from __future__ import annotations

import socket
import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from groupemo import Faces
from groupemo.labeller.desk import Desk
from groupemo.labeller.server import make_app, page_files
from groupemo.labeller.serving import Server
from groupemo.report.pdf import find_browser

PICTURE = Path(__file__).parent / "howto" / "label.png"
PAGE = {"width": 1280, "height": 800}
GROUP = {"width": 1200, "height": 760}
TOKEN = "made"

DRAW = """async () => {
  const { drawing } = await import("/guide.js");
  const words = ["happy", "neutral", "surprise", "happy", "sad", "angry", "happy"];
  const skins = ["#e8c4a2", "#8d5a3b", "#f1d3ba", "#b67c52", "#6b4530", "#d9a878", "#c68f68"];
  const coats = ["#31506e", "#7b3f3a", "#3f6b4f", "#5c4a78", "#8a6a2f", "#2f5d62", "#6d3b56"];
  document.body.style.cssText =
    "margin:0;height:760px;background:linear-gradient(#b9cbd6 62%,#8c9a86 62%);position:relative";
  return words.map((word, at) => {
    const [row, column] = at < 4 ? [0, at] : [1, at - 4];
    const [left, top] = [110 + column * 270 + row * 130, 70 + row * 290 + ((at * 37) % 40)];
    const coat = document.createElement("div");
    coat.style.cssText = `position:absolute;left:${left - 55}px;top:${top + 150}px;width:270px;
      height:330px;border-radius:120px 120px 0 0;background:${coats[at]}`;
    const face = drawing(word);
    face.style.cssText = `position:absolute;left:${left}px;top:${top}px;width:160px;height:180px;
      color:#2a1c14`;
    for (const skin of face.querySelectorAll(".skin")) skin.setAttribute("fill", skins[at]);
    for (const eye of face.querySelectorAll(".eye")) eye.setAttribute("fill", "#fff");
    face.setAttribute("stroke-width", 2.2);
    document.body.append(coat, face);
    return [left + 8, top + 4, left + 152, top + 176];
  });
}"""


def draw_group(browser: Any, path: Path) -> list[list[float]]:
    """Draw a group photo, and return the boxes of its faces."""
    page = browser.new_page(viewport=GROUP)
    files = page_files() | {"": b"<!DOCTYPE html>"}
    kinds = {".js": "text/javascript", "": "text/html"}

    def answer(route: Any) -> None:
        name = route.request.url.rpartition("/")[2]
        route.fulfill(body=files.get(name, b""), content_type=kinds.get(Path(name).suffix))

    page.route("http://made.test/**", answer)
    page.goto("http://made.test/")
    boxes: list[list[float]] = page.evaluate(DRAW)
    page.screenshot(path=path)
    page.close()
    return boxes


def show(browser: Any, address: str) -> None:
    """Label two faces on the page, and take its picture."""
    page = browser.new_page(viewport=PAGE, color_scheme="light")
    page.goto(address)
    page.wait_for_selector(".face canvas[data-sharp=true]")
    for key in ("4", "7"):
        page.keyboard.press(key)
    page.wait_for_selector(".saved[data-state=saved]")
    page.wait_for_selector(".face canvas[data-sharp=true]")
    page.screenshot(path=PICTURE)
    with Image.open(PICTURE) as picture:
        picture.quantize(128).save(PICTURE, optimize=True)  # a third of the size


def main() -> None:
    """Draw the photo, serve the page, take the picture."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        folder = Path(place) / "photos"
        folder.mkdir()
        browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        boxes = np.array(draw_group(browser, folder / "party.png"), np.float32)
        (folder / "picnic.png").write_bytes((folder / "party.png").read_bytes() + b"\n")
        scores = np.full(len(boxes), 0.9, np.float32)
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        with Desk(folder, detector=lambda image: Faces(boxes, scores)) as desk:
            server = Server(make_app(desk, TOKEN, port))
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
            thread.start()
            try:
                show(browser, f"http://127.0.0.1:{port}/?annotator=AB#{TOKEN}")
            finally:
                server.should_exit = True
                thread.join()


if __name__ == "__main__":
    main()
