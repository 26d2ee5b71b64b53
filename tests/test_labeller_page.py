"""The labeller's page in a real browser, with a real desk behind it."""

import json
import socket
import threading
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

from groupemo import Faces, load_labels
from groupemo.emotions import EMOTIONS
from groupemo.errors import OutputError
from groupemo.labeller.desk import Desk

JSONResponse = pytest.importorskip("starlette.responses").JSONResponse
pytestmark = pytest.mark.browser

SIZE = (640, 480)
GRID = [
    (40 + 150 * column, 30 + 150 * row, 100 + 150 * column, 110 + 150 * row)
    for row in range(3)
    for column in range(4)
]
"""Twelve faces a photo, in the order in which one reads."""


def find_faces(image):
    """Propose the faces of every photo, as a detector might: not in reading order."""
    boxes = np.array(GRID[::-1], np.float32)
    return Faces(boxes, np.linspace(0.9, 0.6, len(boxes), dtype=np.float32))


class Guesser:
    """Takes every face for happy."""

    classes = EMOTIONS

    def prepare(self, image, faces):
        return np.zeros((len(faces), 1))

    def predict(self, inputs):
        return np.tile([0.1, 0.1, 0.1, 0.4, 0.1, 0.1, 0.1], (len(inputs), 1))


@pytest.fixture(autouse=True)
def _no_samples(no_samples):
    """Offer no warm-up, whatever is on this machine."""


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("labeller") / "photos"
    folder.mkdir()
    colors = np.random.default_rng(0).integers(60, 220, (3, 12, 3), np.uint8)
    for number, row in enumerate(colors):
        image = np.full((SIZE[1], SIZE[0], 3), 40 + 20 * number, np.uint8)
        for (left, top, right, bottom), color in zip(GRID, row, strict=True):
            image[top:bottom, left:right] = color
        Image.fromarray(image).save(folder / f"{number + 1}.png")
    return folder


class Labelling:
    """A desk and its server, and what they keep."""

    def __init__(self, desk, address):
        self.desk = desk
        self.address = address
        self.keys = desk.order

    def state(self, photo=0, annotator="AB"):
        """Return a photo's faces by id, as the desk has them."""
        asked = {"do": "photo", "photo": self.keys[photo], "annotator": annotator, "client": "t"}
        state = self.desk.handle(asked)
        return {face["id"]: face for face in state["faces"]} | {"complete": state["complete"]}

    def given(self, photo=0, annotator="AB"):
        """Return the labels of a photo in reading order, the drawn faces last."""
        faces = self.state(photo, annotator)
        return [faces[f"p{11 - place}"]["label"] for place in range(12)]

    def say(self, photo, face, label, annotator):
        """Label a face without a page."""
        assert face in self.state(photo)  # found by now
        known = self.desk.handle(
            {"do": "open", "annotator": annotator, "client": annotator, "role": "annotator"}
        )
        done = self.desk.handle(
            {
                "do": "act", "annotator": annotator, "client": annotator, "seen": known["seq"],
                "id": f"{annotator}-{face}", "photo": self.keys[photo], "kind": "label",
                "face": face, "label": label,
            }
        )  # fmt: skip
        assert "error" not in done, done

    @contextmanager
    def full(self):
        """Let no action be saved."""
        handle, failed = self.desk.handle, {"error": "the disk is full", "kind": "failed"}
        self.desk.handle = lambda said: failed if said["do"] == "act" else handle(said)
        yield
        del self.desk.handle

    @contextmanager
    def late(self, **wanted):
        """Answer messages that say this only afterwards."""
        handle, free = self.desk.handle, threading.Event()

        def wait(said):
            if said | wanted == said:
                free.wait()
            return handle(said)

        self.desk.handle = wait
        try:
            yield
        finally:
            free.set()
            del self.desk.handle


class Site:
    """A server, the application it serves at the moment, and what goes wrong on the way to it.

    Things go wrong here and not in the browser: it lets a request pass that follows at once on an
    order to stop them all.
    """

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.app = None
        self.faults = {}

    async def __call__(self, scope, receive, send):
        app = self.faults.get(scope["path"].split("/")[1], self.app)
        await app(scope, receive, send)

    @contextmanager
    def fault(self, app, *places):
        """Let another application answer below some paths."""
        self.faults = dict.fromkeys(places, app)
        yield
        self.faults = {}

    def cut(self, *places):
        """Let no request arrive."""
        return self.fault(hang_up, *places)

    def lossy(self, *places):
        """Let requests arrive, and no answer."""

        async def lose(scope, receive, send):
            await self.app(scope, receive, forget)
            await hang_up(scope, receive, send)

        async def forget(event):
            pass

        return self.fault(lose, *places)


async def hang_up(scope, receive, send):
    receive.__self__.transport.abort()  # ASGI itself has no way to
    while (await receive())["type"] != "http.disconnect":
        pass


@pytest.fixture(scope="module")
def site():
    from groupemo.labeller.serving import Server

    site = Site()
    server = Server(site)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [site.listener]})
    thread.start()
    yield site
    server.should_exit = True
    thread.join()


@pytest.fixture
def labelling(request, site, photos, tmp_path):
    """Return a desk that is served to pages; a test may give it further options."""
    from groupemo.labeller.server import make_app

    options = {"detector": find_faces, "backends": [Guesser()], **getattr(request, "param", {})}
    with Desk(photos, labels=tmp_path / "labels.csv", **options) as desk:
        site.app, site.faults = make_app(desk, "token", site.port), {}
        yield Labelling(desk, f"http://127.0.0.1:{site.port}/#token")


@pytest.fixture(scope="module")
def used(browser):
    """Return a context that serves one test after the other: a new one takes a second."""
    with browser.new_context() as context:
        context.set_default_timeout(10_000)
        yield context


@pytest.fixture
def window(browser, used, labelling):
    """Open windows on the labeller; nothing may end up in the console or go elsewhere."""
    faults, faces, contexts, heard = [], set(), [], []

    def opened(width=1440, height=900, scheme="light", **options):
        if options:
            contexts.append(browser.new_context(**options))
            contexts[-1].set_default_timeout(10_000)
        page = (contexts[-1] if options else used).new_page()
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme)
        return page

    def page_in(context=None, name="AB", role="annotator", **options):
        page = context.new_page() if context else opened(**options)
        for event, listener in (
            ("console", lambda message: faults.append(f"{message.type}: {message.text}")),
            ("pageerror", lambda error: faults.append(f"error: {error}")),
            ("request", lambda request: asked(request.url)),
            ("requestfinished", lambda request: answered(request.url)),
        ):
            page.on(event, listener)
            heard.append((page, event, listener))
        known = f"?annotator={name}" if name and role == "annotator" else ""
        page.goto(labelling.address.replace("#", known + "#"))
        if known:
            ready(page)
        elif name:
            begin(page, name, role)
        return page

    def asked(url):
        if not url.startswith(("blob:", labelling.address.partition("#")[0])):
            faults.append(f"request: {url[:80]}")

    def answered(url):
        if "/face/" in url:
            faces.add(url)

    page_in.faces = faces
    page_in.expected = ["ERR_EMPTY_RESPONSE", "ERR_CONNECTION_RESET"]  # where a connection is cut
    yield page_in
    for page, event, listener in heard:
        page.remove_listener(event, listener)
    for context in contexts:
        context.close()
    for page in used.pages:
        if page.url.startswith("http"):
            page.evaluate("localStorage.clear()")
        page.close()
    assert [one for one in faults if not any(text in one for text in page_in.expected)] == []


def begin(page, name, role="annotator"):
    """Say who labels, and wait for the first photo."""
    page.get_by_label("Your name or initials").fill(name)
    page.locator(f"[value={role}]").check()
    page.get_by_role("button", name="Begin").click()
    ready(page)


def ready(page):
    """Wait until the face in the panel is sharp."""
    page.wait_for_selector(".face canvas[data-sharp=true]")


def press(page, keys):
    for key in keys.split():
        page.keyboard.press(key)


def saved(page):
    """Wait until the page says that all is saved."""
    page.wait_for_selector(".saved[data-state=saved]")


def said(page):
    return page.locator(".said").text_content()


def tags(page):
    return page.locator(".box span").all_text_contents()


def box_of(page, number):
    """Return a box on the screen, without its border's half pixels."""
    box = page.locator(".box").nth(number).bounding_box()
    return [box["x"], box["y"], box["width"], box["height"]]


def wait_for(page, holds):
    for _ in range(500):
        if holds():
            return
        page.wait_for_timeout(20)
    pytest.fail("waited in vain")


def test_thirty_faces_by_keyboard_alone(window, labelling):
    page = window()
    assert page.locator(".box").count() == 12
    press(page, "1 2 3 4 5 6 7 8 9 0 i 1 Enter")
    page.wait_for_selector(".photo-name:text('2.png')")
    press(page, "7 7 7 7 7 7 4 4 4 4 4 4 Enter")
    page.wait_for_selector(".photo-name:text('3.png')")
    press(page, "1 2 3 4 5 6")
    saved(page)
    words = [*EMOTIONS, "contempt", "not_a_face", "unsure", "ignore", "angry"]
    assert labelling.given(0) == words
    assert labelling.given(1) == ["neutral"] * 6 + ["happy"] * 6
    assert labelling.given(2) == [*EMOTIONS[:6], *[None] * 6]
    assert [labelling.state(photo)["complete"] for photo in range(3)] == [True, True, False]
    before = tags(page), page.locator(".progress-text").text_content()
    assert before[1] == "30 of 36 faces, less than a minute left"
    page.reload()
    ready(page)
    assert (tags(page), page.locator(".progress-text").text_content()) == before
    assert page.locator(".face-place").text_content() == "Face 7 of 12"
    labels = load_labels(labelling.desk.export())
    assert [len(faces) for faces in labels.values()] == [11, 12, 6]  # one is no face
    press(page, "1 2 3 4 5 6")
    page.wait_for_selector(".progress-text:text-is('36 of 36 faces')")


def test_boxes_are_drawn_moved_resized_deleted_and_all_of_it_undone(window, labelling):
    page = window()
    view = page.locator(".view").bounding_box()
    x, y = view["x"] + 30, view["y"] + view["height"] / 2 + 200
    press(page, "n")
    drag(page, (x, y), (x + 90, y + 80))
    assert page.locator(".box").count() == 13
    drawn = box_of(page, 12)
    assert drawn == pytest.approx([x, y, 90, 80], abs=2)
    drag(page, (x + 45, y + 40), (x + 145, y + 20))
    assert box_of(page, 12) == pytest.approx([x + 100, y - 20, 90, 80], abs=2)
    drag(page, (x + 190, y + 60), (x + 230, y + 70))
    assert box_of(page, 12) == pytest.approx([x + 100, y - 20, 130, 90], abs=2)
    press(page, "Shift+ArrowRight Alt+Shift+ArrowDown ArrowLeft Alt+ArrowUp 6")
    saved(page)
    face = next(face for name, face in labelling.state().items() if name.startswith("d"))
    assert face["label"] == "surprise"
    left = boxes(page)
    press(page, "k Delete")
    saved(page)
    assert len(labelling.state()) == 13
    for _ in range(6):
        press(page, "Control+z")
        saved(page)
    assert page.locator(".box").count() == 12
    assert page.locator("[data-do=undo]").is_disabled()
    assert said(page).startswith("Undone")
    page.reload()
    ready(page)
    for key in ("Control+y", "Control+Shift+z", "Control+y", "Control+y", "Control+y"):
        press(page, key)
        saved(page)
    assert boxes(page) == pytest.approx(left)
    assert tags(page)[12] == "surprise"
    press(page, "Control+y")
    saved(page)
    assert page.locator(".box").count() == 12
    assert page.locator("[data-do=redo]").is_disabled()


def boxes(page):
    sides = "({ left, top, width, height }) => [left, top, width, height]"
    found = f"(boxes) => boxes.map((box) => box.getBoundingClientRect()).flatMap({sides})"
    return page.locator(".box").evaluate_all(found)


def drag(page, start, end):
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*((a + b) / 2 for a, b in zip(start, end, strict=True)))
    page.mouse.move(*end)
    page.mouse.up()


def test_a_box_by_keyboard_stands_in_the_middle(window, labelling):
    page = window()
    press(page, "n Enter")
    saved(page)
    face = next(face for name, face in labelling.state().items() if name.startswith("d"))
    left, top, right, bottom = face["box"]
    assert ((left + right) / 2, (top + bottom) / 2) == pytest.approx((320, 240), abs=0.5)
    assert right - left == pytest.approx(60, abs=0.2)
    assert page.locator(".box[aria-pressed=true]").get_attribute("data-face") == face["id"]
    press(page, "n Escape 4")
    assert page.locator(".box").count() == 13
    saved(page)
    assert labelling.state()[face["id"]]["label"] == "happy"


def test_second_choice_confidence_and_votes(window, labelling):
    page = window()
    press(page, "Shift+6 c c 1")  # of a face without a label: given together with it
    press(page, "k Shift+2")  # of one that has it: at once
    saved(page)
    face = labelling.state()["p11"]
    assert (face["label"], face["second"], face["confidence"]) == ("angry", "disgust", 2)
    page.get_by_role("button", name="Second choice", exact=True).click()
    page.get_by_role("button", name="fear").click()
    page.get_by_role("button", name="fairly sure", exact=True).click()
    saved(page)
    face = labelling.state()["p11"]
    assert (face["second"], face["confidence"]) == ("fear", None)
    page.get_by_text("Soft votes").click()
    page.get_by_label("happy").fill("3")
    page.get_by_label("neutral").fill("1")
    page.get_by_role("button", name="Give these votes").click()
    saved(page)
    face = labelling.state()["p11"]
    assert (face["label"], face["votes"]) == ("happy", {"happy": 0.75, "neutral": 0.25})
    press(page, "k")
    assert page.get_by_role("slider", name="happy").input_value() == "8"
    press(page, "Backspace")
    saved(page)
    assert labelling.state()["p11"]["label"] is None


def test_a_photo_with_unlabelled_faces_is_not_complete_by_accident(window, labelling):
    page = window()
    press(page, "4 4 j Enter")
    dialog = page.get_by_role("dialog")
    assert "10 faces of this photo have no label" in dialog.text_content()
    press(page, "Enter")
    assert dialog.is_hidden()
    assert page.locator(".face-place").text_content() == "Face 3 of 12"
    press(page, "Enter Tab Enter")
    page.wait_for_selector(".photo-name:text('2.png')")
    saved(page)
    assert labelling.state()["complete"]
    page.locator(".filter select").select_option("complete")
    assert page.locator(".list li:visible").all_text_contents() == ["1.png2/12complete"]
    page.locator(".list li:visible button").click()
    page.get_by_role("button", name="Open it again").click()
    saved(page)
    assert not labelling.state()["complete"]


def test_messages_wait_for_the_connection_and_survive_a_reload(window, labelling, site):
    page = window()
    with site.cut("api"):
        press(page, "1 2 3")
        page.wait_for_selector(".saved[data-state=trouble]")
        text = "not saved: no connection, 3 waiting"
        assert page.locator(".saved").text_content() == text
        assert tags(page)[:4] == ["angry", "disgust", "fear", ""]
        assert labelling.given()[:3] == [None] * 3
        page.reload()
    page.reload()
    ready(page)
    saved(page)
    assert tags(page)[:4] == ["angry", "disgust", "fear", ""]
    assert labelling.given()[:4] == ["angry", "disgust", "fear", None]


@pytest.mark.slow
def test_a_lost_answer_does_nothing_twice(window, labelling, site):
    page = window()
    press(page, "n")
    page.wait_for_selector(".drawing")
    with site.lossy("api"):
        press(page, "Enter")
        page.wait_for_selector(".saved[data-state=trouble]")
    saved(page)
    assert page.locator(".box").count() == 13
    assert len(labelling.state()) == 14


@pytest.mark.parametrize(
    "storage",
    [
        "Storage.prototype.setItem = () => { throw new DOMException('', 'QuotaExceededError'); }",
        "for (const name of ['localStorage', 'sessionStorage']) Object.defineProperty(window, name,"
        " { get() { throw new DOMException('', 'SecurityError'); } })",
    ],
    ids=["full", "forbidden"],
)
def test_labels_are_saved_where_the_browser_keeps_nothing(window, labelling, storage):
    page = window(locale="en")  # a context of its own, for the script stays there
    page.context.add_init_script(storage)
    page.reload()
    ready(page)
    press(page, "4 5 6")
    saved(page)
    assert labelling.given()[:4] == ["happy", "sad", "surprise", None]


CLIENT = "sessionStorage.getItem('groupemo-client')"


@pytest.mark.slow
def test_what_a_closed_tab_left_is_sent_by_the_next(window, labelling, site):
    page = window()
    context = page.context
    with site.cut("api"):
        press(page, "1 2")
        page.wait_for_selector(".saved[data-state=trouble]")
        page.close()
    page = window(context)
    page.wait_for_selector(".box span:text('disgust')")
    saved(page)
    assert labelling.given()[:3] == ["angry", "disgust", None]
    with labelling.full():
        press(page, "3")
        page.wait_for_selector(".saved[data-state=trouble]")
        other = window(context)
        left = f"Object.keys(localStorage).filter((key) => key.includes({CLIENT}))"
        assert len(page.evaluate(left)) == 1  # the tab that said it sends it, while that is open
        page.close()
    other.wait_for_selector(".box span:text('fear')")
    saved(other)
    assert labelling.given()[2] == "fear"


ADOPTION = """async () => {
  const { Outbox } = await import("/page/outbox.js");
  const sent = [], answers = [];
  const send = ({ id }) => {
    sent.push(id);
    return new Promise((answered) => answers.push(() => answered({})));
  };
  const outbox = new Outbox("own", "place", send, { onreply() {}, onchange() {} });
  outbox.add({ id: "own" });
  localStorage["groupemo-label left place"] = JSON.stringify([{ id: "first" }, { id: "second" }]);
  await outbox.adopt();
  while (outbox.waiting.length) {
    answers.shift()?.();
    await new Promise((done) => setTimeout(done));
  }
  return sent;
}"""


def test_what_is_taken_over_meanwhile_is_sent_too(window):
    assert window(name=None).evaluate(ADOPTION) == ["own", "first", "second"]


FULL_STORAGE = """async () => {
  const { Outbox } = await import("/page/outbox.js");
  const send = () => new Promise(() => {});
  const outbox = new Outbox("own", "place", send, { onreply() {}, onchange() {} });
  localStorage["groupemo-label left place"] = JSON.stringify([{ id: "x".repeat(2000) }]);
  for (let size = 1 << 22, n = 0; size > 100; n++) {
    try { localStorage[n] = "y".repeat(size); } catch { size >>= 1; }
  }
  await outbox.adopt();
  return Object.keys(localStorage).filter((key) => key.startsWith("groupemo-label"));
}"""


def test_what_is_taken_over_is_kept_where_there_is_no_room_for_two(window):
    assert window(name=None).evaluate(FULL_STORAGE) == ["groupemo-label own place"]


FAULT = """async () => {
  const { Outbox } = await import("/page/outbox.js");
  const sent = [];
  const send = async ({ id }) => (sent.push(id), {});
  const onreply = ({ id }) => { if (id === "first") throw new Error("wrongly drawn"); };
  const outbox = new Outbox("own", "place", send, { onreply, onchange() {} });
  outbox.add({ id: "first" });
  await new Promise((done) => setTimeout(done));
  outbox.add({ id: "second" });
  await new Promise((done) => setTimeout(done));
  return sent;
}"""


def test_labels_are_sent_after_a_fault_of_the_page(window):
    window.expected.append("wrongly drawn")
    assert window(name=None).evaluate(FAULT) == ["first", "second"]


@pytest.mark.slow
def test_a_tab_that_comes_back_is_another_one_if_its_labels_were_taken_over(window, labelling):
    page = window()
    other = window(page.context)
    with labelling.full():
        press(page, "1")
        page.wait_for_selector(".saved[data-state=trouble]")
        address = page.url
        page.goto("about:blank")
        other.wait_for_selector(".box span:text('angry')")
        other.wait_for_timeout(5000)  # until it asks less often than the other will
        page.goto(address)
        ready(page)
        press(page, "2")
    saved(page)
    saved(other)
    wait_for(page, lambda: tags(page)[0] == labelling.given()[0])


@pytest.mark.slow
def test_two_tabs_overwrite_nothing_in_silence(window, labelling):
    first = window()
    second = window(first.context)
    press(first, "1")
    saved(first)
    press(second, "2")
    second.wait_for_selector(".alarm:visible")
    assert "changed in another tab" in second.locator(".alarm").text_content()
    assert labelling.given()[0] == "angry"
    assert tags(second)[0] == "angry"
    press(second, "k 2")
    saved(second)
    assert labelling.given()[0] == "disgust"
    first.wait_for_selector(".box span:text('disgust')")  # heard of by asking


@pytest.mark.slow
def test_a_duplicated_tab_is_a_tab_of_its_own(window, labelling):
    first = window()
    client = first.evaluate(CLIENT)
    with labelling.full():
        press(first, "1")
        first.wait_for_selector(".saved[data-state=trouble]")
        first.reload()
        ready(first)
        assert first.evaluate(CLIENT) == client
        second = window(first.context)
        second.evaluate("(id) => sessionStorage.setItem('groupemo-client', id)", client)
        second.reload()
        ready(second)
        assert second.evaluate(CLIENT) != client


@pytest.mark.slow
def test_a_wrong_token_is_said(window, labelling, site):
    window.expected.append("401")
    page = window()
    with site.fault(JSONResponse({"error": "no", "kind": "refused"}, 401), "api"):
        press(page, "1")
        page.wait_for_selector(".saved[data-state=trouble]")
        assert "address" in page.locator(".saved").text_content()
    saved(page)
    assert labelling.given()[0] == "angry"


def test_the_next_faces_are_here_before_they_are_needed(window, site):
    page = window()
    wait_for(page, lambda: len(window.faces) == 5 + 2 + 2)  # four ahead, two on each next photo
    page.wait_for_timeout(300)  # until they are decoded
    shown = "({ ...document.querySelector('.face canvas').dataset })"
    with site.cut("picture", "face"):
        for number in range(4):
            press(page, "4")
            assert page.evaluate(shown) == {"face": f"p{10 - number}", "sharp": "true"}
        press(page, "]")
        assert page.evaluate(shown) == {"face": "p11", "sharp": "true"}
        assert page.locator(".view canvas").evaluate("(one) => one.width") == SIZE[0]


def test_zoom_keeps_the_point_under_the_pointer(window):
    page = window()
    x, y, width, height = box_of(page, 5)
    page.mouse.move(x + width / 4, y + height / 4)
    page.mouse.wheel(0, -400)
    wait_for(page, lambda: box_of(page, 5)[2] > 1.5 * width)
    left, top, wide, high = box_of(page, 5)
    point = (x + width / 4, y + height / 4)
    assert (left + wide / 4, top + high / 4) == pytest.approx(point, abs=2)
    press(page, "+ +")
    press(page, "k")  # the face before is brought into view
    view = page.locator(".view").bounding_box()
    box = page.locator("[aria-pressed=true].box").bounding_box()
    assert view["x"] < box["x"] + box["width"] / 2 < view["x"] + view["width"]
    assert view["y"] < box["y"] + box["height"] / 2 < view["y"] + view["height"]
    page.keyboard.down("Space")
    drag(page, (box["x"] + 20, box["y"] + 20), (box["x"] - 80, box["y"] + 20))
    page.keyboard.up("Space")
    panned = page.locator("[aria-pressed=true].box").bounding_box()
    assert panned["x"] == pytest.approx(box["x"] - 100, abs=1)
    press(page, "f")
    assert box_of(page, 5) == pytest.approx([x, y, width, height], abs=0.5)


@pytest.mark.slow
def test_two_fingers_zoom_and_pan(window):
    page = window(width=820, height=1180, has_touch=True)
    x, y, width, _ = box_of(page, 5)
    wire = page.context.new_cdp_session(page)

    def touch(kind, *points):
        found = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        wire.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": found})

    touch("touchStart", (x - 40, y), (x + 40, y))
    for step in range(1, 5):
        touch("touchMove", (x - 40 - 10 * step, y), (x + 40 + 10 * step, y))
    touch("touchEnd")
    left, top, wide, _ = box_of(page, 5)
    assert wide == pytest.approx(2 * width, rel=0.03)
    assert (left, top) == pytest.approx((x, y), abs=3)
    page.touchscreen.tap(left + wide / 2, top + 20)
    assert page.locator(".face-place").text_content() == "Face 6 of 12"


GEOMETRY = """async () => {
  const g = await import("/page/geometry.js");
  const random = (low, high) => low + Math.random() * (high - low);
  const near = (a, b, what) => {
    if (Math.abs(a - b) > 1e-6 * (1 + Math.abs(b))) throw new Error(`${what}: ${a} is not ${b}`);
  };
  const holds = (yes, what) => { if (!yes) throw new Error(what); };
  for (let round = 0; round < 2000; round++) {
    const photo = [random(20, 6000), random(20, 6000)];
    const stage = [random(200, 2000), random(200, 1500)];
    const whole = g.fit(photo, stage);
    const [left, top, right, bottom] = g.toStage(whole, [0, 0, ...photo]);
    near(left + right, stage[0], "centered"); near(top + bottom, stage[1], "centered");
    holds(left > 0 && top > 0, "whole");
    const at = [random(0, stage[0]), random(0, stage[1])];
    const close = g.zoom(whole, random(1, 30), at, photo, stage);
    const panned = { ...close, x: close.x + random(-500, 500), y: close.y + random(-500, 500) };
    const view = g.settle(panned, photo, stage);
    const there = g.toStage(view, [0, 0, ...photo]);
    [0, 1].forEach((axis) => holds(
      there[axis] <= 17 && there[axis + 2] >= stage[axis] - 17
        || Math.abs(there[axis] + there[axis + 2] - stage[axis]) < 1e-6, "no needless margin"));
    const x = random(0, photo[0] - 4), y = random(0, photo[1] - 4);
    const box = [x, y, random(x + 2, photo[0]), random(y + 2, photo[1])];
    const inside = ([x1, y1, x2, y2]) =>
      Math.min(x1, y1, photo[0] - x2, photo[1] - y2) >= -1e-9;
    const shifted = g.moved(box, random(-9e3, 9e3), random(-9e3, 9e3), photo);
    holds(inside(shifted), "moved inside");
    near(shifted[2] - shifted[0], box[2] - box[0], "keeps its width");
    for (const edges of ["n", "ne", "e", "se", "s", "sw", "w", "nw"]) {
      const sized = g.resized(box, edges, random(-9e3, 9e3), random(-9e3, 9e3), photo);
      const sides = [sized[2] - sized[0], sized[3] - sized[1]];
      holds(inside(sized) && Math.min(...sides) >= 2 - 1e-9, `resized ${edges}`);
      for (const [edge, side] of [["w", 0], ["n", 1], ["e", 2], ["s", 3]]) {
        if (!edges.includes(edge)) near(sized[side], box[side], "other edges stay");
      }
    }
    const seen = g.toStage(g.reveal(view, box, photo, stage), box);
    const middle = [(seen[0] + seen[2]) / 2, (seen[1] + seen[3]) / 2];
    holds([0, 1].every((axis) => middle[axis] > 0 && middle[axis] < stage[axis]), "revealed");
    const [px, py] = g.toPhoto(view, [7, 9]), [sx, sy] = g.toStage(view, [px, py]);
    near(sx, 7, "there and back"); near(sy, 9, "there and back");
    holds(inside(g.around([random(0, photo[0]), random(0, photo[1])], [box], photo)), "around");
  }
  const face = (id, x, y) => ({ id, box: [x, y, x + 50, y + 60] });
  const faces = [["d", 10, 200], ["b", 100, 20], ["a", 0, 35], ["c", 200, 0], ["e", 300, 190]];
  return g.readingOrder(faces.map((one) => face(...one)));
}"""


def test_geometry_keeps_its_promises(window):
    assert window(name=None).evaluate(GEOMETRY) == ["a", "b", "c", "d", "e"]


@pytest.fixture
def gone_on(window):
    """Return a page on its second photo, with a label in the first to be undone."""
    page = window()
    press(page, "4")
    saved(page)
    press(page, "]")
    page.wait_for_selector(".photo-name:text('2.png')")
    ready(page)
    return page


def undone(page):
    page.wait_for_selector(".said:text-matches('Undone')", state="attached")


def test_a_late_undo_does_not_lead_away_from_a_face(gone_on, labelling):
    page = gone_on
    with labelling.late(do="undo"):
        press(page, "Control+z 1 2")
    undone(page)
    press(page, "3")
    saved(page)
    assert labelling.given(0)[0] is None
    assert labelling.given(1)[:3] == ["angry", "disgust", "fear"]


@pytest.mark.slow
def test_a_late_undo_ends_a_drag_that_it_leads_away_from(gone_on, labelling):
    page = gone_on
    before = labelling.state(0)
    x, y, width, height = box_of(page, 0)
    with labelling.late(do="undo"):
        press(page, "Control+z")
        page.mouse.move(x + width / 2, y + height / 2)
        page.mouse.down()
        page.mouse.move(x + width / 2 + 9, y + height / 2 + 9)
    undone(page)
    page.wait_for_selector(".photo-name:text('1.png')")
    page.mouse.move(x + width / 2 + 30, y + height / 2 + 30)
    page.mouse.up()
    saved(page)
    after = labelling.state(0)
    assert after.pop("complete") == before.pop("complete")
    assert {face: one["box"] for face, one in after.items()} == {
        face: one["box"] for face, one in before.items()
    }


@pytest.mark.slow
def test_a_late_undo_completes_no_other_photo(gone_on, labelling):
    page = gone_on
    with labelling.late(do="undo"):
        press(page, "Control+z Enter")
        page.wait_for_selector("dialog.unfinished[open]")
    page.wait_for_selector(".photo-name:text('1.png')")
    press(page, "Tab Enter")
    page.wait_for_selector("dialog.unfinished", state="hidden")
    saved(page)
    assert [labelling.state(photo)["complete"] for photo in range(2)] == [False, False]


@pytest.mark.slow
def test_no_box_is_drawn_on_a_photo_whose_faces_are_not_here(window, labelling):
    with labelling.late(do="photo", photo=labelling.keys[1]):  # it is fetched ahead
        page = window()
        press(page, "]")
        page.wait_for_selector(".photo-name:text('2.png')")
        press(page, "n")
        assert said(page) == "No box can be drawn here."
    wait_for(page, lambda: page.locator(".box").count() == 12)
    press(page, "n Enter")
    wait_for(page, lambda: page.locator(".box").count() == 13)
    saved(page)


def complete_and_open_again(page):
    """Complete the first photo, and go to it where it is shown again."""
    press(page, "9 4 4 4 4 4 4 4 4 4 4 4 Enter")
    saved(page)
    page.reload()
    ready(page)
    assert page.locator(".list li").all_text_contents()[-1] == "1.png0/11again"
    page.locator(".list li button").last.click()
    page.wait_for_selector(".photo-place:text('4 of 4, again')")


@pytest.mark.slow
@pytest.mark.parametrize("labelling", [{"repeat": 1.0}], indirect=True)
def test_a_photo_that_is_not_shown_again_any_more_stops_nothing(window, labelling):
    page = window()
    complete_and_open_again(page)
    quickly(page)
    page.wait_for_selector(".photo-place:text('4 of 4, again')")
    ready(page)
    other = window(page.context)
    other.locator(".list li button").first.click()
    other.get_by_role("button", name="Open it again").click()
    saved(other)
    page.wait_for_timeout(1500)  # it has asked
    press(page, "4 Control+y")
    page.wait_for_selector(".said:text('There is nothing to redo.')", state="attached")
    page.locator(".list li button").nth(1).click()
    page.wait_for_selector(".photo-name:text('2.png')")
    ready(page)
    press(page, "5 6")
    wait_for(page, lambda: labelling.given(1)[:2] == ["sad", "surprise"])


def test_a_guess_is_shown_only_when_asked_for_and_is_recorded(window, labelling):
    page = window()
    assert page.locator(".guesses").text_content() == ""
    press(page, "1")
    page.locator(".guess summary").click()
    page.get_by_label("Seeing a guess biases").check()
    page.wait_for_selector(".guesses:has-text('happy 40%')")
    press(page, "2")
    saved(page)
    labels = load_labels(labelling.desk.export())
    shown = [face.extra.get("guess_shown") for faces in labels.values() for face in faces]
    assert sorted(shown, key=str) == ["", "yes"] or len(set(shown)) == 2


def test_an_adjudicator_decides_where_others_differ(window, labelling):
    for annotator, words in (("AB", ("happy", "sad")), ("CD", ("happy", "fear"))):
        for face, word in zip(("p11", "p10"), words, strict=True):
            labelling.say(0, face, word, annotator)
    page = window(name="JD", role="adjudicator")
    assert page.locator(".box").count() == 2
    assert page.locator(".progress-text").text_content() == "0 of 1 disagreement settled"
    assert page.locator(".face-place").text_content() == "Face 2 of 2"
    assert page.locator(".answers-given li").all_text_contents() == ["ABsad", "CDfear"]
    assert page.locator(".grips").is_hidden()
    page.locator(".filter select").select_option("disagree")
    assert page.locator(".list li:visible").count() == 1
    press(page, "5")
    saved(page)
    assert page.locator(".progress-text").text_content() == "1 of 1 disagreement settled"
    assert tags(page) == ["happy", "sad"]
    press(page, "Control+z")
    page.wait_for_selector(".progress-text:text('0 of 1')")
    page.get_by_role("button", name="More").click()
    page.get_by_role("button", name="Agreement").click()
    figures = page.locator("dialog.agreement")
    page.wait_for_selector("dialog.agreement:has-text('AB, CD')")
    assert "Krippendorff's alpha" in figures.text_content()
    assert figures.locator("table").count() == 3


@pytest.mark.slow
@pytest.mark.parametrize("labelling", [{"repeat": 1.0}], indirect=True)
def test_faces_are_shown_again_without_their_labels(window, labelling):
    page = window()
    complete_and_open_again(page)
    wait_for(page, lambda: page.locator(".box").count() == 11)
    assert tags(page) == [""] * 11
    press(page, "ArrowLeft Delete n")
    assert said(page) == "No box can be drawn here."
    press(page, "4 4")
    saved(page)
    assert page.locator(".list li").all_text_contents()[-1] == "1.png2/11again"
    assert labelling.given()[:3] == ["not_a_face", "happy", "happy"]


def test_annotators_see_nothing_of_each_other(window, labelling):
    labelling.say(0, "p11", "happy", "CD")
    page = window()
    assert tags(page) == [""] * 12
    assert page.locator(".list").text_content().count("0/12") == 3
    page.get_by_role("button", name="More").click()
    page.get_by_role("button", name="Agreement").click()
    page.wait_for_selector("dialog.agreement:has-text('You with yourself')")


@pytest.mark.slow
def test_a_name_that_adjudicates_may_not_label(window, labelling):
    labelling.say(0, "p11", "happy", "AB")
    page = window(name=None)
    page.get_by_label("Your name or initials").fill("AB")
    page.locator("[value=adjudicator]").check()
    page.get_by_role("button", name="Begin").click()
    page.wait_for_selector("dialog [role=alert]:has-text('another name')")
    begin(page, "EF", "adjudicator")


@pytest.mark.slow
def test_another_name_may_go_on(window, labelling):
    page = window()
    press(page, "4")
    page.get_by_role("button", name="More").click()
    page.get_by_role("button", name="AB: change the name").click()
    begin(page, "CD")
    assert tags(page) == [""] * 12
    press(page, "5")
    saved(page)
    assert (labelling.given()[0], labelling.given(annotator="CD")[0]) == ("happy", "sad")


@pytest.mark.slow
def test_keys_may_be_turned_off(window, labelling):
    page = window()
    page.get_by_role("button", name="More").click()
    page.get_by_label("Keys without Ctrl").uncheck()
    press(page, "Escape 1 j")
    assert page.locator(".face-place").text_content() == "Face 1 of 12"
    page.get_by_role("button", name="happy").click()
    press(page, "Control+z")
    saved(page)
    assert labelling.given()[0] is None


def test_tab_leads_through_the_faces(window):
    page = window()
    page.locator(".box").first.focus()
    press(page, "Tab")
    assert page.locator(".face-place").text_content() == "Face 2 of 12"
    assert said(page) == "Face 2 of 12, no label"
    press(page, "4")
    focused = "document.activeElement.getAttribute('aria-label')"
    assert page.evaluate(focused) == "Face 3 of 12, no label"
    press(page, "Shift+Tab")
    assert page.evaluate(focused) == "Face 2 of 12, happy"


def quickly(page):
    """Let the page ask ten times as often."""
    page.add_init_script(
        "const every = setInterval; window.setInterval = (run, pause) => every(run, pause / 10)"
    )
    page.reload()


def start_warm_up(page):
    page.locator(".offer").get_by_role("button", name="Warm up").click()
    trial_ready(page)


def trial_ready(page):
    page.wait_for_selector(".trial canvas[data-sharp=true]")


def test_a_newcomer_warms_up_on_sample_faces(samples, window, labelling):
    page = window()
    start_warm_up(page)
    words = []
    for number in range(10):
        assert page.locator(".place").text_content() == f"Face {number + 1} of 10"
        assert page.locator(".verdict").text_content() == ""
        press(page, "j Enter 4")
        words.append(page.locator(".expected").get_attribute("data-label"))
        told = page.locator(".verdict").text_content()
        ending = "as you do." if words[-1] == "happy" else "; you say happy."
        assert told.startswith(f"All 2 annotators say {words[-1]}")
        assert ending in told
        assert "Corners of the mouth drawn up" in told
        press(page, "5 Enter")  # said is said
    assert set(words) == {"angry", "happy", "surprise", "neutral"}
    score = f"{words.count('happy')} of 10 as the labels have it."
    assert page.locator(".score").text_content() == score
    saved(page)
    press(page, "Enter 7")
    assert page.locator("dialog.warm-up").is_hidden()
    saved(page)
    assert page.locator(".offer").is_hidden()
    assert labelling.given()[:2] == ["neutral", None]
    [warm_up, _] = labelling.desk._records.journal.entries()
    assert [(one.label, one.expected) for one in warm_up.action.answers] == [
        ("happy", word) for word in words
    ]
    assert sum(map(len, load_labels(labelling.desk.export()).values())) == 1


@pytest.mark.slow
def test_a_warm_up_may_be_declined_broken_off_and_repeated(samples, window, labelling):
    page = window()
    page.get_by_role("button", name="Not now").click()
    page.reload()
    ready(page)
    assert page.locator(".offer").is_hidden()
    press(page, "g")
    page.get_by_role("button", name="Warm up on ten sample faces").click()
    trial_ready(page)
    press(page, "1 Enter 2 Escape")
    saved(page)
    press(page, "g")
    page.get_by_role("button", name="Warm up on ten sample faces").click()
    trial_ready(page)
    assert page.locator(".place").text_content() == "Face 1 of 10"
    press(page, "Escape")
    [warm_up] = labelling.desk._records.journal.entries()
    assert [one.label for one in warm_up.action.answers] == ["angry", "disgust"]


@pytest.mark.slow
def test_there_is_no_warm_up_without_sample_faces(window):
    page = window()
    assert page.locator(".offer").is_hidden()
    press(page, "g")
    assert page.get_by_role("button", name="Warm up on").is_hidden()


CSV = "image,x,y,w,h,emotion\n1.png,40,30,60,80,sad\n1.png,190,30,60,80,fear\n"
COCO = {
    "images": [{"id": 1, "file_name": "2.png", "width": 640, "height": 480}],
    "categories": [{"id": 1, "name": "angry"}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [40, 30, 60, 80]}],
}


def take_in(page, *files):
    named = [{"name": name, "mimeType": "text/plain", "buffer": text} for name, text in files]
    page.locator("[name=file]").set_input_files(named)
    page.get_by_role("button", name="Take in", exact=True).click()
    page.wait_for_selector(".told p")
    return page.locator(".told").text_content()


@pytest.mark.slow
def test_labels_are_taken_in_from_files(window, labelling):
    page = window()
    page.get_by_role("button", name="More").click()
    page.get_by_role("button", name="Take in labels").click()
    wrong = CSV.replace("fear", "feer")
    told = take_in(page, ("old.csv", wrong.encode()))
    assert told.startswith("old.csv, line 3, column 'emotion': unknown emotion 'feer'")
    assert labelling.given()[:2] == [None] * 2
    assert take_in(page, ("old.csv", CSV.encode())) == "2 faces in 1 photo taken in."
    assert "Nothing in it differs" in take_in(page, ("old.csv", CSV.encode()))
    told = take_in(page, ("theirs.json", json.dumps(COCO).encode()))
    assert told == "1 face in 1 photo taken in."
    assert page.locator("[name=format]").input_value() == "coco"
    press(page, "Escape")
    assert tags(page)[:2] == ["sad", "fear"]
    press(page, "Control+z Control+z")
    saved(page)
    wait_for(page, lambda: tags(page)[:2] == ["", ""])


@pytest.mark.slow
def test_a_label_file_that_cannot_be_written_is_told_until_it_can(window, labelling, monkeypatch):
    def refuse():
        raise OutputError("labels.csv: cannot be written: No space left on device")

    monkeypatch.setattr(labelling.desk, "export", refuse)
    page = window()
    quickly(page)
    ready(page)
    press(page, "4")
    page.wait_for_selector(".behind:has-text('No space left on device')")
    page.wait_for_timeout(1000)
    assert page.locator(".behind").is_visible()
    monkeypatch.undo()
    page.wait_for_selector(".behind", state="hidden")
    assert labelling.desk.labels.exists()


@pytest.mark.slow
def test_pictures_that_did_not_come_are_asked_for_again(window, site):
    page = window()
    with site.cut("picture", "face"):
        quickly(page)
        page.wait_for_selector(".notice:has-text('no connection')")
        press(page, "4")
    page.wait_for_selector(".notice", state="hidden")
    ready(page)
    assert page.locator(".view canvas").evaluate("(one) => one.width") == SIZE[0]


@pytest.mark.slow
def test_an_adjudicator_hears_what_others_say_meanwhile(window, labelling):
    labelling.say(0, "p11", "happy", "AB")
    page = window(name="JD", role="adjudicator")
    quickly(page)
    page.wait_for_selector(".progress-text:text('0 of 0 disagreements settled')")
    labelling.say(0, "p11", "sad", "CD")
    page.wait_for_selector(".progress-text:text('0 of 1 disagreement settled')")
    answers = page.locator(".answers-given li")
    wait_for(page, lambda: answers.all_text_contents() == ["ABhappy", "CDsad"])
    page.get_by_role("button", name="More").click()
    assert page.get_by_role("button", name="Take in labels").is_hidden()
    page.get_by_role("button", name="Agreement").click()
    page.wait_for_selector("dialog.agreement:has-text('1 face labelled by two or more')")
    labelling.say(0, "p10", "happy", "AB")
    labelling.say(0, "p10", "happy", "CD")
    page.wait_for_selector("dialog.agreement:has-text('2 faces labelled by two or more')")


TOO_SMALL = """[...document.querySelectorAll("button, input, select, summary, .switch")]
  .filter((one) => one.checkVisibility({ visibilityProperty: true }))
  .filter((one) => !one.matches(".skip, .box, .switch input"))
  .filter((one) => {
    const { width, height } = one.getBoundingClientRect();
    return width < 24 || (height < 24 && one.type !== "range");
  })
  .map((one) => one.outerHTML)"""

SIZES = [
    (width, height, scheme)
    for width, height in ((360, 740), (820, 1180), (1440, 900))
    for scheme in ("light", "dark")
]
QUICK = [(360, 740, "light"), (1440, 900, "dark")]
SCREENS = [pytest.param(*one, marks=() if one in QUICK else pytest.mark.slow) for one in SIZES]


def check_barriers(page, where):
    """Find what bars people from a page: axe's rules, what is too wide or too small to hit."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found = axe.run(page, options={"resultTypes": ["violations"]}).response["violations"]
    assert [(rule["id"], rule["nodes"][0]["html"][:200]) for rule in found] == [], where
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, where
    assert page.evaluate(TOO_SMALL) == [], where


@pytest.mark.parametrize(("width", "height", "scheme"), SCREENS)
def test_nobody_is_barred(window, width, height, scheme):
    page = window(width=width, height=height, scheme=scheme)
    press(page, "4 Shift+2")
    check_barriers(page, "page")
    paper, ink = page.evaluate(
        "['backgroundColor', 'color'].map((name) => getComputedStyle(document.body)[name])"
    )
    assert (brightness(paper) > brightness(ink)) == (scheme == "light")
    for key, name in (("g", "guide"), ("?", "keys"), ("Enter", "unfinished")):
        press(page, key)
        page.wait_for_selector(f"dialog.{name}[open]")
        check_barriers(page, name)
        press(page, "Escape")
        page.wait_for_selector(f"dialog.{name}", state="hidden")
    page.get_by_role("button", name="More").click()
    check_barriers(page, "menu")
    page.get_by_role("button", name="Take in labels").click()
    check_barriers(page, "import")


@pytest.mark.slow
@pytest.mark.parametrize(("width", "height", "scheme"), SIZES)
def test_nobody_is_barred_from_the_warm_up(samples, window, width, height, scheme):
    page = window(width=width, height=height, scheme=scheme)
    check_barriers(page, "offer")
    start_warm_up(page)
    check_barriers(page, "trial")
    press(page, "5")
    check_barriers(page, "verdict")
    for _ in range(9):
        press(page, "Enter 5")
    press(page, "Enter")
    check_barriers(page, "result")


def brightness(color):
    return sum(int(part) for part in color.strip("rgb()").split(","))


@pytest.mark.slow
def test_an_unreadable_photo_says_so(window, site):
    window.expected.append("422")
    page = window()
    with site.fault(JSONResponse({"error": "cut short"}, 422), "picture"):
        page.reload()
        page.wait_for_selector(".notice:has-text('cut short')")
