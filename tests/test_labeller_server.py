"""The labeller's server, over real sockets: who is let in, what is refused, how it ends."""

import html
import http.client
import json
import os
import queue
import socket
import stat
import threading
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit
from urllib.request import url2pathname

import numpy as np
import pytest
from PIL import Image

from groupemo.errors import OptionError
from groupemo.faces import Faces
from groupemo.images import digest, find_photos
from groupemo.labeller import server, serving
from groupemo.labeller.desk import Desk
from groupemo.labeller.security import HEADERS
from groupemo.testing import FakeDetector

TOKEN = "the-token"
SECRET = b"nobody is to read this"


class FakeDesk:
    """Answers what it was asked, and knows the photos of a folder."""

    def __init__(self, folder):
        self.photos = {digest(photo.load())[:16]: photo for photo in find_photos(folder)}
        self.pictured = self.photos
        self.labels = folder / "labels.csv"

    def handle(self, message):
        if message.get("do") == "fail":
            raise ZeroDivisionError("a bug")
        return {"heard": message}


class Site:
    """A server in a thread, and requests to it."""

    def __init__(self, desk):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.app = server.make_app(desk, TOKEN, self.port)
        self.desk = desk

    @contextmanager
    def running(self):
        running = self.server = serving.Server(self.app)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [self.listener]})
        thread.start()
        try:
            yield self
        finally:
            running.should_exit = True
            thread.join()

    def ask(self, path, body=None, *, method=None, token=TOKEN, host=None, **headers):
        """Send exactly this path; return status, headers and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        method = method or ("GET" if body is None else "POST")
        connection.putrequest(method, path, skip_host=True)
        for each in [host or f"127.0.0.1:{self.port}"] if host != "" else []:
            connection.putheader("Host", each)
        if token is not None:
            connection.putheader("Authorization", f"Bearer {token}")
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        for key, value in headers.items():
            connection.putheader(key.replace("_", "-"), value)
        connection.endheaders(body)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, answer.headers, data

    def refused(self, path, *args, **options):
        """Ask; return the status and the reason, given in the desk's way."""
        status, _, data = self.ask(path, *args, **options)
        told = json.loads(data)
        assert told["kind"] == "refused"
        return status, told["error"]

    @contextmanager
    def line(self, text):
        """Send these characters as they are; give the connection, to read from."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as line:
            line.sendall(text.replace("PORT", str(self.port)).encode("latin-1"))
            yield line

    def say(self, message):
        return self.ask("/api", message if isinstance(message, bytes) else message.encode())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("labelling") / "photos"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
    Image.fromarray(noise).save(folder / "a.png")
    (folder / "page.jpg").write_bytes(b"<html><script>alert(1)</script>")
    (folder.parent / "secret.png").write_bytes(SECRET)
    return folder


@pytest.fixture(scope="module")
def site(folder):
    with Site(FakeDesk(folder)).running() as running:
        yield running


@pytest.fixture(scope="module")
def photo(site):
    return next(name for name, photo in site.desk.photos.items() if photo.name == "a.png")


def routes(photo):
    """Return a request to every route that asks for the token."""
    return [
        ("/api", b'{"do": "open"}'),
        (f"/picture/{photo}?side=64", None),
        (f"/face/{photo}?box=10,10,50,50&side=64", None),
    ]


POST = f"POST /api HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nAuthorization: Bearer {TOKEN}\r\n"
PUBLIC = {"/", "/page/{name:path}"}


# --- what it is for --------------------------------------------------------------------------


def test_a_message_and_its_reply(site):
    status, headers, data = site.say('{"do": "open", "annotator": "<script>"}')
    assert (status, headers["content-type"]) == (200, "application/json")
    assert json.loads(data) == {"heard": {"do": "open", "annotator": "<script>"}}


def test_pictures(site, photo):
    for path, body in routes(photo)[1:]:
        status, headers, data = site.ask(path, body)
        assert (status, headers["content-type"]) == (200, "image/jpeg")
        assert data.startswith(b"\xff\xd8")


def test_the_page_and_all_it_loads_are_there(site):
    status, headers, page = site.ask("/", token=None)
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    files = server.page_files()
    assert page == files["index.html"]
    for name, data in files.items():
        status, headers, given = site.ask(f"/page/{name}", token=None)
        assert (status, given) == (200, data)
        assert headers["content-type"].split(";")[0] in server.KINDS.values()


# --- who is let in ---------------------------------------------------------------------------


def test_these_are_all_the_routes(site, photo):
    asked = {path.split("?")[0].replace(photo, "{photo}") for path, _ in routes(photo)}
    assert {route.path for route in site.app.site.routes} == asked | PUBLIC


@pytest.mark.parametrize("token", [None, "", "the-toke", "the-token2", "THE-TOKEN", "\xff"])
def test_nothing_but_the_page_is_given_without_the_token(site, photo, token):
    for path, body in routes(photo):
        assert site.refused(path, body, token=token)[0] == 401
    assert site.refused("/nonesuch", token=token)[0] == 401
    assert site.refused("/api?token=the-token", b"{}", token=token)[0] == 401


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "0.0.0.0:{port}",
     "localhost.evil.example:{port}", "127.0.0.1:{port}@evil.example", "127.0.0.1.:{port}"],
)  # fmt: skip
def test_another_host_is_refused_everywhere(site, photo, host):
    host = host.format(port=site.port)
    for path, body in [*routes(photo), ("/", None), ("/page/transport.js", None)]:
        if not host:  # no HTTP: the connection is closed, and a body behind would be sent in vain
            body = None
        status, headers, _ = site.ask(path, body, host=host)
        assert status == (403 if host else 400)
        assert not headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "LocalHost:{port}"])
def test_the_names_of_this_machine_are_good(site, photo, host):
    host = host.format(port=site.port)
    own = f"http://{host}"
    for path, body in routes(photo):
        assert site.ask(path, body, host=host, Origin=own)[0] == 200


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "https://127.0.0.1:{port}", "http://127.0.0.1:1", "null", "",
     "http://localhost:{port}"],
)  # fmt: skip
def test_a_page_of_another_origin_is_refused(site, photo, origin):
    origin = origin.format(port=site.port)
    for path, body in [*routes(photo), ("/", None)]:
        status, reason = site.refused(path, body, Origin=origin)
        assert (status, reason) == (403, "asked by a page of another origin")


@pytest.mark.parametrize("where", ["cross-site", "same-site", "nonsense"])
def test_a_page_of_another_site_is_refused(site, photo, where):
    for path, body in [*routes(photo), ("/page/transport.js", None)]:
        assert site.refused(path, body, Sec_Fetch_Site=where)[0] == 403


def test_a_link_to_the_page_may_stand_anywhere(site):
    assert site.ask("/", token=None, Sec_Fetch_Site="cross-site")[0] == 200
    assert site.ask("/page/transport.js", token=None, Sec_Fetch_Site="same-origin")[0] == 200


def test_every_answer_forbids_the_browser_the_rest(site, photo):
    answers = [
        site.ask("/", token=None),
        site.ask("/", host="evil.example"),
        site.ask("/nonesuch"),
        site.ask("/api", b"{", token=TOKEN),
        site.ask("/api", b"{}", token="wrong"),
        site.ask("/api", b'{"do": "fail"}'),
        site.ask("/api", method="DELETE"),
        *(site.ask(path, body) for path, body in routes(photo)),
    ]
    assert [status for status, *_ in answers] == [200, 403, 404, 400, 401, 500, 405, 200, 200, 200]
    for _, headers, _ in answers:
        assert {name: headers[name] for name in HEADERS} == HEADERS
        assert "access-control-allow-origin" not in headers
        assert "server" not in headers


# --- no file but the photos ------------------------------------------------------------------

CLIMBING = [
    "../secret.png",
    "../../../../../../../../etc/passwd",
    "..\\secret.png",
    "....//secret.png",
    "/etc/passwd",
    "//etc/passwd",
    "file:///etc/passwd",
    "C:\\Windows\\win.ini",
    "a.png",
    "./a.png",
    "\0",
    "a.png\0.jpg",
    ".",
    "..",
    "~",
    "\N{FULLWIDTH FULL STOP}\N{FULLWIDTH FULL STOP}/secret.png",
    "%2e%2e%2fsecret.png",
    "x" * 5000,
]


@pytest.mark.parametrize("name", [*CLIMBING, "{absolute}"])
def test_no_parameter_is_a_path(site, folder, photo, name):
    name = name.replace("{absolute}", str(folder.parent / "secret.png"))
    plain, once = quote(name, safe="/."), quote(name, safe="").replace(".", "%2e")
    for written in (plain, once, quote(once, safe="")):
        for path in (
            f"/picture/{written}?side=64",
            f"/face/{written}?box=1,1,9,9&side=64",
            f"/page/{written}",
            f"/page/{written}/index.html",
            f"/{written}",
            f"/picture/{photo}?side={written}",
            f"/face/{photo}?box=1,1,9,9&side={written}",
            f"/face/{photo}?box={written}&side=64",
        ):
            status, _, data = site.ask(path)
            if path not in ("/.", "/.."):
                assert status in (400, 404), path
            assert SECRET not in data
            assert b"root:" not in data


@pytest.mark.parametrize(
    "query",
    ["", "side=", "side=0", "side=15", "side=16385", "side=1e3", "side=-64", "side=64.0",
     "side=" + "9" * 4000],
)  # fmt: skip
def test_a_side_is_a_number_of_pixels(site, photo, query):
    assert site.refused(f"/picture/{photo}?{query}") == (400, "side: expected 16 to 16384 pixels")


@pytest.mark.parametrize(
    "box", ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "nan,1,9,9", "1,1,inf,9", "1,1,1e9,9"]
)
def test_a_box_is_four_finite_numbers(site, photo, box):
    assert site.refused(f"/face/{photo}?box={box}&side=64")[0] == 400


def test_a_box_beyond_the_photo(site, photo):
    assert site.ask(f"/face/{photo}?box=-9e5,-9e5,9e5,9e5&side=64")[0] == 200
    status, reason = site.refused(f"/face/{photo}?box=500,0,600,9&side=64")
    assert status == 422
    assert "holds no pixel" in reason


def test_a_page_named_like_a_photo_is_never_sent(site):
    name = next(name for name, photo in site.desk.photos.items() if photo.name == "page.jpg")
    status, reason = site.refused(f"/picture/{name}?side=64")
    assert status == 422
    assert "page.jpg: not a picture" in reason
    assert "<script>" not in reason


# --- bodies ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "Expecting value"),
        (b"{", "Expecting"),
        (b"[]", "expected a JSON object"),
        (b'"text"', "expected a JSON object"),
        (b'{"a": NaN}', "NaN is no number"),
        (b'{"a": -Infinity}', "no number"),
        (b'{"a": 1e999}', "1e999 is no number"),
        (b'{"a": ' + b"9" * 100 + b"}", "too many digits"),
        (b'{"a": ' + b"9" * 9000 + b"}", "too many digits"),
        (b'{"a": "\xff\xfe"}', "utf-8"),
        (b'{"a": "\\ud800"}', "surrogates"),
        (b"[" * 200_000, "recursion"),
        (b'{"a":' * 200_000, "recursion"),
    ],
)
def test_what_is_no_message_is_refused(site, body, reason):
    status, told = site.refused("/api", body)
    assert status == 400
    assert reason in told


def test_too_much_is_refused_whether_announced_or_not(site, monkeypatch):
    monkeypatch.setattr(server, "MOST_BYTES", 100_000)
    assert site.ask("/api", b'{"a": "' + b"x" * 90_000 + b'"}')[0] == 200
    assert site.refused("/api", b'{"a": "' + b"x" * 100_000 + b'"}') == (
        413,
        "more than 100,000 bytes",
    )
    with site.line(f"{POST}Transfer-Encoding: chunked\r\n\r\nfffff\r\n{'x' * 150_000}") as line:
        assert line.recv(100).startswith(b"HTTP/1.1 413 ")


def test_a_slow_sender_is_not_waited_for(site, monkeypatch):
    monkeypatch.setattr(server, "PATIENCE", 0.1)
    with site.line(POST + "Content-Length: 100\r\n\r\n{") as line:
        said = b"".join(iter(lambda: line.recv(4096), b""))
    assert said.startswith(b"HTTP/1.1 408 ")
    assert b"not all there after 0.1 seconds" in said


@pytest.mark.parametrize("begun", ["", "GET / HT"])
def test_a_silent_connection_is_closed(site, monkeypatch, begun):
    monkeypatch.setattr(serving, "PATIENCE", 0.1)
    with site.line(begun) as line:
        assert line.recv(100) == b""


def test_a_later_request_has_to_arrive_in_time_too(site, monkeypatch):
    with site.line("") as line:
        for patience in (30, 0):  # a whole request is never late
            monkeypatch.setattr(serving, "PATIENCE", patience)
            line.sendall(
                (POST + "Content-Length: 2\r\n\r\n{}").replace("PORT", str(site.port)).encode()
            )
            said = b""
            while b'{"heard":{}}' not in said:
                said += (part := line.recv(4096))
                assert part
        line.sendall(b"GET / HT")
        assert line.recv(100) == b""


def test_small_answers_are_sent_at_once(site):
    with site.line(POST + "Content-Length: 2\r\n\r\n{}") as line:
        assert line.recv(100).startswith(b"HTTP/1.1 200 ")
        [one] = [
            connection.transport.get_extra_info("socket")
            for connection in site.server.server_state.connections
            if connection.client == line.getsockname()
        ]
        assert one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_no_http_at_all(site):
    with site.line("\x16\x03\x01 hello\r\n\r\n") as line:
        assert line.recv(100).startswith(b"HTTP/1.1 400 ")


def test_a_bug_is_said_without_its_insides(site):
    status, reason = site.refused("/api", b'{"do": "fail"}')
    assert status == 500
    assert "ZeroDivisionError" not in reason


# --- port and address ------------------------------------------------------------------------


def test_the_same_labels_have_the_same_port(tmp_path):
    with serving.listen(tmp_path / "labels.csv") as one:
        port = one.getsockname()[1]
        with serving.listen(tmp_path / "labels.csv") as two:
            assert two.getsockname()[1] != port
    with serving.listen(tmp_path / "labels.csv") as three:
        assert three.getsockname() == ("127.0.0.1", port)


def test_a_port_that_is_taken_or_is_none(tmp_path):
    with serving.listen(tmp_path) as one:
        taken = one.getsockname()[1]
        with pytest.raises(OptionError, match=rf"port {taken}: .*in use.*: give another"):
            serving.listen(tmp_path, taken)
        with pytest.raises(OptionError, match="give another"):
            serving.label(tmp_path / "nonesuch", port=taken, notebook=False)  # first of all
    with pytest.raises(OptionError, match="port 99999: not a number from 1 to 65535"):
        serving.listen(tmp_path, 99_999)


def test_the_token_stands_on_no_command_line(folder, monkeypatch):
    opened, said, found = queue.Queue(), [], []

    class Ends(serving.Server):
        def run(self, sockets):
            found.append(Path(url2pathname(urlsplit(opened.get(timeout=10)).path)))
            page = found[0].read_text()
            address = said[0].split()[2]
            assert "annotator=A%20%26%20B#" in address
            assert f"url={html.escape(address)}" in page

    monkeypatch.setattr(serving, "_has_screen", lambda: True)
    monkeypatch.setattr(serving, "Server", Ends)
    monkeypatch.setattr(serving.webbrowser, "open", opened.put)
    serving.serve(FakeDesk(folder), annotator="A & B", say=said.append)
    assert not found[0].parent.exists()


@pytest.mark.skipif(os.name == "nt", reason="there, who may read a file is not in its mode")
def test_the_page_that_leads_to_the_token_is_its_owners_alone(monkeypatch):
    opened = queue.Queue()
    monkeypatch.setattr(serving.webbrowser, "open", opened.put)
    with serving._opened("http://127.0.0.1:1/#secret"):
        page = Path(url2pathname(urlsplit(opened.get(timeout=10)).path))
        modes = [stat.S_IMODE(each.stat().st_mode) for each in (page.parent, page)]
    assert modes == [0o700, 0o600]


# --- in front of a real desk -----------------------------------------------------------------

NASTY = [
    None, True, -1, 0, 2**53, 1.5, 1e300, "", "\0", "../../etc/passwd", "<script>", "x" * 70_000,
    "'; DROP TABLE actions; --", [], [1, 2, 3], [[[]]], {}, {"a": 1}, {"__proto__": {}},
    [0, 0, 0, 0], [1e308, 1, 2, 3], ["a", "b", "c", "d"], "\u202e\u200b", "\ufffe",
]  # fmt: skip


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    folder = tmp_path_factory.mktemp("real") / "photos"
    (folder / "sub").mkdir(parents=True)
    for number, name in enumerate(["<script>alert(1)<script>.png", "sub/'; DROP TABLE x.png"]):
        Image.fromarray(np.full((90, 90, 3), number, np.uint8)).save(folder / name)
    outside = folder.parent / "outside.png"
    Image.fromarray(np.full((90, 90, 3), 99, np.uint8)).save(outside)
    (folder / "link.png").symlink_to(outside)
    (folder / "way").symlink_to(folder.parent)
    boxes = Faces([[10, 10, 40, 40], [50, 10, 80, 40]])
    with Desk(folder, detector=FakeDetector(boxes)) as desk, Site(desk).running() as running:
        yield running


def message(**fields):
    return json.dumps({"annotator": "AB", "client": "tab", **fields})


def test_names_are_text_and_links_out_of_the_folder_are_not_there(real):
    status, headers, data = real.say(message(do="open"))
    assert (status, headers["content-type"]) == (200, "application/json")
    assert headers["x-content-type-options"] == "nosniff"
    names = [item["name"] for item in json.loads(data)["items"]]
    assert names == ["<script>alert(1)<script>.png", "sub/'; DROP TABLE x.png"]
    outside = digest((real.desk.labels.parent.parent / "outside.png").read_bytes())[:16]
    assert real.ask(f"/picture/{outside}?side=64")[0] == 404


def test_no_message_breaks_the_desk(real):
    photo = real.desk.order[0]
    good = {
        "id": "1", "photo": photo, "again": 0, "seen": 0, "face": "p0", "kind": "label",
        "label": "happy", "box": [1, 1, 9, 9], "role": "annotator", "since": 0, "format": "csv",
        "name": "a.csv", "text": "image,x,y,w,h,emotion\n", "confidence": 1, "second": "sad",
        "votes": {"happy": 1}, "complete": True, "annotator": "AB", "client": "tab",
    }  # fmt: skip
    kinds = [{"do": "act", "kind": kind} for kind in ("add", "move", "delete", "label", "complete")]
    others = "open photo undo redo changes guess agreement disagreements adjudicate import nonesuch"
    for base in [*kinds, *({"do": do} for do in others.split())]:
        for field in good:
            for value in NASTY:
                status, _, data = real.say(json.dumps({**good, **base, field: value}))
                assert status == 200, (base, field, value, data)
                assert isinstance(json.loads(data), dict)
    assert json.loads(real.say(message(do="photo", photo=photo))[2])["faces"]


def test_no_message_reads_or_writes_a_file_of_its_choice(real):
    said = real.say(message(do="import", name="/etc/passwd", text="", format="csv"))[2]
    assert b"root:" not in said
    for format in ("yolo", "voc"):
        for name in ("..", "/etc", str(real.desk.labels.parent)):
            reply = real.say(message(do="import", name=name, text="x", format=format))[2]
            assert json.loads(reply)["kind"] == "refused"
    before = {path for path in real.desk.labels.parent.parent.rglob("*")}
    real.say(message(do="export", path="/tmp/x.csv", name="../x.csv"))
    after = {path for path in real.desk.labels.parent.parent.rglob("*")}
    assert after - before <= {real.desk.labels}
