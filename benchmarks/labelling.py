"""How long an annotator waits for the labeller, in a real browser.

    python benchmarks/labelling.py [--large 100] [--ordinary 1000]

`groupemo label` in a process of its own, and a headless Chromium that Playwright drives, on
made photos: drawn faces under noise, as JPEG. YuNet looks at each photo in the background, as
it does by default, and the drawn boxes are proposed in place of what it finds.

1. From a key to the next face and to the next photo: `benchmarks/labelling.js`, in the page,
   says when. At a human pace, and with each key the moment the last face is sharp.
2. From a key to *saved*: on the disk, by the page's own words.
3. Opening, reloading and writing 1,000 photos with 10,000 faces and 20,000 actions.
4. The server's memory while the page goes through 100 photos of 20 megapixels.

That a label is never lost is no benchmark but a test: `tests/test_labeller_crash.py`.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sqlite3
import statistics
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page, sync_playwright

from groupemo import EMOTIONS, Faces
from groupemo.environment import versions
from groupemo.files import write_atomically
from groupemo.labeller.actions import Label
from groupemo.labeller.desk import Desk
from groupemo.labeller.journal import Entry, Journal, now
from groupemo.labeller.serving import serve
from groupemo.markdown import table
from groupemo.plugins import DEFAULT_DETECTOR, DETECTORS
from groupemo.report.pdf import find_browser
from groupemo.testing import Scene, make_scene

ROOT = Path(__file__).resolve().parent.parent
PROBE = Path(__file__).with_suffix(".js").read_text()
FRESH = multiprocessing.get_context("spawn")
PACE = 0.4
"""Seconds from key to key of a quick annotator."""


# --- photos ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """Made photos: `faces` drawn in `columns`, `side` pixels each; whether YuNet looks at them."""

    faces: int
    columns: int
    side: int
    looked_at: bool

    @property
    def scene(self) -> Scene:
        """What a photo shows, under its noise."""
        words = [EMOTIONS[number % len(EMOTIONS)] for number in range(self.faces)]
        return make_scene(words, face=self.side, columns=self.columns)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        height, width = self.scene.image.shape[:2]
        return width, height

    def __str__(self) -> str:
        width, height = self.size
        return f"{width * height / 1e6:.0f} MP, {self.faces} faces"


LARGE = Kind(faces=50, columns=9, side=388, looked_at=True)
ORDINARY = Kind(faces=10, columns=4, side=240, looked_at=False)


def make_photos(folder: Path, kind: Kind, count: int) -> Path:
    """Write photos that differ in their noise, which makes their files as large as a camera's."""
    folder.mkdir()
    image, size = kind.scene.image, kind.size

    def make(number: int) -> None:
        grains = np.random.default_rng(number).integers(
            0, 48, (size[1] // 2, size[0] // 2, 3), np.uint8
        )
        noisy = cv2.add(image, cv2.resize(grains, size))
        cv2.imwrite(str(folder / f"{number:04}.jpg"), noisy, [cv2.IMWRITE_JPEG_QUALITY, 90])

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(make, range(count)))
    return folder


class Drawn:
    """A detector that takes YuNet's time, where it shall, and finds the drawn faces."""

    def __init__(self, kind: Kind) -> None:
        self.boxes = kind.scene.faces.boxes
        self.look = DETECTORS.load(DEFAULT_DETECTOR).plugin if kind.looked_at else None

    def __call__(self, image: NDArray[np.uint8]) -> Faces:
        """Return the drawn faces."""
        if self.look:
            self.look(image)
        return Faces(self.boxes)


# --- the server ------------------------------------------------------------------------------


def serve_photos(folder: Path, kind: Kind, say: Any) -> None:
    """Serve a folder; `say` is sent the address."""
    with Desk(folder, detector=Drawn(kind)) as desk:
        serve(desk, open_browser=False, say=say.send)


class Server:
    """A labeller in a process of its own, until it is told to end as by Ctrl-C."""

    def __init__(self, folder: Path, kind: Kind) -> None:
        hear, say = FRESH.Pipe(duplex=False)
        start = time.perf_counter()
        self.process = FRESH.Process(target=serve_photos, args=(folder, kind, say))
        self.process.start()
        say.close()
        self.address = next(word for word in hear.recv().split() if word.startswith("http"))
        self.started = time.perf_counter() - start

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.join()

    def say(self, do: str, **fields: Any) -> dict[str, Any]:
        """Send a message, and return the reply."""
        origin, _, token = self.address.partition("#")
        message = {"do": do, "annotator": "AB", "client": "benchmark", **fields}
        headers = {"Authorization": f"Bearer {token}"}
        request = urllib.request.Request(f"{origin}api", json.dumps(message).encode(), headers)
        with urllib.request.urlopen(request) as reply:
            answer: dict[str, Any] = json.load(reply)
        return answer

    def wait_for_detector(self) -> None:
        """Wait until all photos have proposals."""
        while self.say("changes", since=0)["waiting"]:
            time.sleep(0.5)

    def memory(self) -> dict[str, float]:
        """Return megabytes resident now (`VmRSS`) and at most so far (`VmHWM`)."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        fields = dict(line.split(":", 1) for line in lines)
        return {name: int(fields[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM")}


# --- the page --------------------------------------------------------------------------------


@contextmanager
def opened(browser: Browser, server: Server) -> Iterator[tuple[Page, float]]:
    """Open a page in a fresh profile; yields it and the seconds until a face is sharp."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    start = time.perf_counter()
    page.goto(server.address.replace("#", "?annotator=AB#"))
    ready(page)
    seconds = time.perf_counter() - start
    page.evaluate(PROBE)
    yield page, seconds
    context.close()


def ready(page: Page) -> None:
    """Wait until the face beside the photo is sharp."""
    page.wait_for_selector(".face canvas[data-sharp=true]")


def press(page: Page, key: str, *until: str, pace: float = 0.0) -> None:
    """Press a key, wait until all of `until` is there, and on until `pace` seconds are over."""
    start = time.perf_counter()
    page.keyboard.press(key)
    page.evaluate("names => until(...names)", until)
    time.sleep(max(0.0, start + pace - time.perf_counter()))


def label_photos(page: Page, kind: Kind, photos: int, pace: float = 0.0) -> Measured:
    """Label all faces of some photos, each as complete, and go on to the next."""
    begun = page.evaluate("measured.length")
    for _ in range(photos):
        for number in range(kind.faces - 1):
            press(page, str(1 + number % 7), "sharp", pace=pace)
        press(page, "1", "saved", pace=pace)  # no other face is left
        press(page, "Enter", "photo", "sharp", pace=pace)
    page.wait_for_selector(".saved[data-state=saved]")
    return Measured(page.evaluate("begun => measured.slice(begun)", begun))


def step(page: Page, photos: int, pace: float = 0.0, key: str = "]") -> Measured:
    """Look at the photos that follow, or (`[`) at those before."""
    begun = page.evaluate("measured.length")
    for _ in range(photos):
        press(page, key, "photo", "sharp", pace=pace)
    return Measured(page.evaluate("begun => measured.slice(begun)", begun))


def flat_out(page: Page, kind: Kind) -> tuple[float, float]:
    """Label all faces of a photo without looking; return seconds until sent, and until saved."""
    start = time.perf_counter()
    for _ in range(kind.faces):
        page.keyboard.press("4")
    sent = time.perf_counter() - start
    page.wait_for_selector(".saved[data-state=saved]")
    return sent, time.perf_counter() - start


class Measured:
    """Keys, and how many milliseconds after them what was there."""

    def __init__(self, keys: Sequence[dict[str, Any]]) -> None:
        self.faces = [key for key in keys if "sharp" in key and "photo" not in key]
        self.photos = [key for key in keys if "photo" in key]
        self.saved = [key["saved"] for key in keys if key["key"] not in "[]"]
        """How long until the page said so, for the keys that changed something."""

    @property
    def next_face(self) -> list[float]:
        """How long until another face of the same photo was sharp."""
        return [key["sharp"] for key in self.faces]

    @property
    def next_photo(self) -> list[float]:
        """How long until another photo was painted, and its first face sharp."""
        return [max(key["photo"], key["sharp"]) for key in self.photos]

    @property
    def at_once(self) -> float:
        """The share of faces that were sharp when they were first shown."""
        return statistics.mean(key["sharp"] == key["any"] for key in self.faces)

    @property
    def display(self) -> float:
        """The median of the browser's own figure, until the frame is displayed."""
        return statistics.median(key.get("display", 16) for key in self.faces)


# --- what is measured ------------------------------------------------------------------------


def label_at_first(folder: Path, browser: Browser) -> dict[str, Any]:
    """Label large photos while the detector goes through all of them."""
    with Server(folder, LARGE) as server, opened(browser, server) as (page, _):
        labelled = label_photos(page, LARGE, 2, PACE)
        left = server.say("changes", since=0)["waiting"]
        server.wait_for_detector()
        return {"keys": labelled, "left": left, "memory": server.memory()}


def label_large(folder: Path, browser: Browser) -> dict[str, Any]:
    """Label large photos in which all faces have been proposed."""
    with Server(folder, LARGE) as server, opened(browser, server) as (page, _):
        before = server.say("open")["progress"]["labelled"]
        pace, fast = label_photos(page, LARGE, 3, PACE), label_photos(page, LARGE, 4)
        flat = flat_out(page, LARGE)
        assert server.say("open")["progress"]["labelled"] == before + 8 * LARGE.faces
    return {"pace": pace, "fast": fast, "flat out": flat}


def look_through(folder: Path, browser: Browser, photos: int) -> dict[str, Any]:
    """Go through all large photos, some of them at a human pace, and back again."""
    with Server(folder, LARGE) as server, opened(browser, server) as (page, _):
        page.locator(".list li button").first.click()
        ready(page)
        pace, few = step(page, 20, 1.0), server.memory()
        fast, all_ = step(page, photos - 21), server.memory()
        step(page, photos - 1, key="[")
        return {"pace": pace, "fast": fast, "memory": [few, all_, server.memory()]}


def measure_ordinary(folder: Path, browser: Browser, actions: int) -> dict[str, Any]:
    """Open, label and write many photos, without a journal at first and with a long one then."""
    found: dict[str, Any] = {}
    with Server(folder, ORDINARY) as server, opened(browser, server) as (page, seconds):
        found["first"] = server.started, seconds
        server.wait_for_detector()
        found["pace"] = label_photos(page, ORDINARY, 10, PACE)
        found["fast"] = label_photos(page, ORDINARY, 20)
    lengthen(folder, actions)
    with ProcessPoolExecutor(1, FRESH) as pool:
        found["desk"] = pool.submit(measure_desk, folder).result()
    with Server(folder, ORDINARY) as server:
        found["start"] = server.started
        found["open"] = [open_once(browser, server) for _ in range(5)]
        with opened(browser, server) as (page, _):
            found["reload"] = [reload(page) for _ in range(5)]
            page.evaluate(PROBE)
            for number in range(100):
                press(page, str(1 + number % 7), "saved")
            found["long"] = Measured(page.evaluate("measured"))
        found["memory"] = server.memory()
    return found


def open_once(browser: Browser, server: Server) -> float:
    with opened(browser, server) as (_, seconds):
        return seconds


def reload(page: Page) -> float:
    start = time.perf_counter()
    page.reload()
    ready(page)
    return time.perf_counter() - start


def lengthen(folder: Path, actions: int) -> None:
    """Have a journal hold so many actions: labels, given in turn to all faces."""
    journal = Journal(folder / "labels.csv.journal")
    faces = [(photo.id, f"p{n}") for photo in journal.photos() for n in range(ORDINARY.faces)]
    with journal.transaction():
        for number in range(actions - len(journal.entries())):
            photo, face = faces[number % len(faces)]
            action = Label(face, EMOTIONS[number % 7])
            journal.append(Entry(0, uuid.uuid4().hex, "AB", 0, photo, "made", now(), action))
    journal.close()


def measure_desk(folder: Path) -> dict[str, float]:
    """Return seconds of opening a desk, of exports, and of a label (the median) without a page."""
    opening, desk = timed(lambda: Desk(folder, detector=Drawn(ORDINARY)))

    def label(number: int) -> float:
        message = {
            "do": "act", "annotator": "AB", "client": "made", "id": f"again-{number}",
            "seen": 10**9, "photo": desk.order[number // ORDINARY.faces], "kind": "label",
            "face": f"p{number % ORDINARY.faces}", "label": "fear",
        }  # fmt: skip
        seconds, reply = timed(lambda: desk.handle(message))
        assert "error" not in reply, reply
        return seconds

    with desk:
        first, _ = timed(desk.export)
        label(0)
        again, _ = timed(desk.export)
        acts = [label(number) for number in range(1, 10 * ORDINARY.faces)]
    return {
        "opening": opening,
        "export": first,
        "export again": again,
        "label": statistics.median(acts),
    }


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


# --- the report ------------------------------------------------------------------------------


def spread(values: Sequence[float]) -> list[str]:
    """Return number, median, 90th percentile and worst of milliseconds as cells."""
    return [str(len(values)), *(f"{np.quantile(values, share):.0f}" for share in (0.5, 0.9, 1))]


SPREAD = ["n>", "median ms>", "90 % ms>", "worst ms>"]
PACED = f"a key every {PACE:.1f} s"
CHASING = "each key when the last face is sharp"


def report(
    first: dict[str, Any],
    large: dict[str, Any],
    through: dict[str, Any],
    ordinary: dict[str, Any],
    options: argparse.Namespace,
    chromium: str,
) -> str:
    labelled = [
        (f"{LARGE}; YuNet at work", PACED, first["keys"]),
        (str(LARGE), PACED, large["pace"]),
        (str(LARGE), CHASING, large["fast"]),
        (str(ORDINARY), PACED, ordinary["pace"]),
        (str(ORDINARY), CHASING, ordinary["fast"]),
    ]
    stepped = [
        (str(LARGE), "]; a photo a second", through["pace"]),
        (str(LARGE), "]; when the last photo is there", through["fast"]),
    ]
    faces = table(
        ["photos", "keys", *SPREAD, "sharp at once>", "displayed, median ms>"],
        [
            [photos, keys, *spread(one.next_face), f"{one.at_once:.0%}", f"{one.display:.0f}"]
            for photos, keys, one in labelled
        ],
    )
    steps = table(
        ["photos", "keys", *SPREAD],
        [
            [photos, f"Enter; {keys}" if keys[0] != "]" else keys, *spread(one.next_photo)]
            for photos, keys, one in labelled + stepped
        ],
    )
    long = f"{options.ordinary:,} ordinary photos, {options.actions:,} actions"
    saved = table(
        ["photos", "keys", *SPREAD],
        [
            *([photos, keys, *spread(one.saved)] for photos, keys, one in labelled),
            [long, "each key when the last is saved", *spread(ordinary["long"].saved)],
        ],
    )
    sent, done = large["flat out"]
    few, many, back = through["memory"]
    desk, (start, seen) = ordinary["desk"], ordinary["first"]
    seconds = table(
        ["what", "seconds>"],
        [
            ["start, the photos never seen: until the address is printed", f"{start:.2f}"],
            ["open the page then: until a face is sharp", f"{seen:.2f}"],
            [f"start with {options.actions:,} actions", f"{ordinary['start']:.2f}"],
            ["of which: open photos and journal", f"{desk['opening']:.2f}"],
            ["open the page then: median (worst) of 5", middle(ordinary["open"])],
            ["reload it: median (worst) of 5", middle(ordinary["reload"])],
            ["write the label file", f"{desk['export']:.2f}"],
            ["write it after one more label", f"{desk['export again']:.2f}"],
            ["record a label, without page and HTTP, median", f"{desk['label']:.4f}"],
        ],
    )
    memory = table(
        ["what it did", "MB then>", "MB at most>"],
        [
            [
                f"started: {options.large} large photos looked at by YuNet, two labelled",
                *mb(first["memory"]),
            ],
            ["started again: 21 large photos shown", *mb(few)],
            [f"all {options.large} shown", *mb(many)],
            [f"all {options.large} shown again", *mb(back)],
            [f"started with {long}", *mb(ordinary["memory"])],
        ],
    )
    return f"""# Labelling

`python benchmarks/labelling.py`: {options.large} photos of {by(LARGE.size)} pixels with
{LARGE.faces} faces each, and {options.ordinary:,} of {by(ORDINARY.size)} with {ORDINARY.faces},
all made. The server in a process of its own; Chromium {chromium}, headless, without a
graphics card, window 1440 x 900. Browser, server, detector and what drives the browser share
{machine()}, with what else ran there: load average {options.load:.1f} before it began.

## From a key to the next face

A label is given by a key; *n*: how many times another face followed. Milliseconds from the
moment that the browser had the key (`event.timeStamp`) until the frame with the next face,
enlarged and sharp, was painted (the first task after that frame's). *Sharp at once*: the other
faces were first enlarged from the photo on the screen. *YuNet at work*: on the photos to come,
{first["left"]} of them when the last key was pressed. *Displayed*: the browser's own figure, of
the same keys, until that frame was displayed (Event Timing, in steps of 8 ms; 16 stands for less).

{faces}

Keys as fast as they can be sent: {LARGE.faces} in {sent:.2f} s; all are saved after {done:.2f} s.

## From a key to the next photo

Until the photo is painted and its first face is sharp.

{steps}

## From a key to "saved"

Until the page says that the action is on the disk, which it is by then: a commit that waits for
the disk. Actions are sent one after the other, so that fast ones wait in line.

{saved}

## {options.ordinary:,} photos, {options.ordinary * ORDINARY.faces:,} faces

{seconds}

## Memory of the server

{memory}

## Tests, not figures

200 kills of the server at any moment, and two annotators at once with 1,000 actions each, lose
nothing: `tests/test_labeller_crash.py` (`make test-slow`).
"""


def mb(memory: dict[str, float]) -> list[str]:
    return [f"{memory['VmRSS']:.0f}", f"{memory['VmHWM']:.0f}"]


def by(size: tuple[int, int]) -> str:
    return " x ".join(map(str, size))


def middle(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} ({max(values):.2f})"


def machine() -> str:
    """Return what it ran on, in words."""
    found = versions()
    cpu = next(
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    )
    return (
        f"{found['platform']}, {os.cpu_count()} cores ({cpu}), Python {found['python']},"
        f" SQLite {sqlite3.sqlite_version}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--large",
        type=int,
        default=100,
        help="photos; 22 at least",
    )
    parser.add_argument("--ordinary", type=int, default=1000, help="photos; 31 at least")
    parser.add_argument("--actions", type=int, default=20_000)
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "labelling.md")
    options = parser.parse_args()
    options.load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name, sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=find_browser(), args=["--no-sandbox", "--disable-gpu"]
        )
        large = make_photos(Path(name, "large"), LARGE, options.large)
        first, then = label_at_first(large, browser), label_large(large, browser)
        through = look_through(large, browser, options.large)
        ordinary = make_photos(Path(name, "ordinary"), ORDINARY, options.ordinary)
        others = measure_ordinary(ordinary, browser, options.actions)
        text = report(first, then, through, others, options, browser.version)
    write_atomically(options.out, text.encode())
    print(text)


if __name__ == "__main__":
    main()
