"""The labeller's server killed while people label, or used by several at once: nothing is lost."""

import contextlib
import http.client
import json
import multiprocessing
import random
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pytest
from PIL import Image

from groupemo.emotions import EMOTIONS
from groupemo.faces import Faces
from groupemo.images import digest
from groupemo.label_csv import load_labels
from groupemo.labeller.desk import Desk
from groupemo.labeller.serving import serve
from groupemo.testing import FakeDetector

PHOTOS, FACES = 3, 5
SERVERS = multiprocessing.get_context("forkserver")
SERVERS.set_forkserver_preload(["cv2", "groupemo.labeller.serving", "groupemo.labeller.desk"])
GONE = (OSError, http.client.HTTPException, EOFError)
"""What the end of a server looks like from outside."""


@pytest.fixture
def photos(tmp_path):
    return make_photos(tmp_path / "photos")


def make_photos(folder):
    folder.mkdir()
    for number in range(PHOTOS):
        noise = np.random.default_rng(number).integers(0, 255, (120, 300, 3), np.uint8)
        Image.fromarray(noise).save(folder / f"{number}.png")
    return folder


def run_server(photos, say):
    """Serve a folder in which a detector finds a row of faces; tell the address through a pipe."""
    boxes = [[50 * i + 5, 20, 50 * i + 45, 70] for i in range(FACES)]
    desk = Desk(photos, detector=FakeDetector(Faces(boxes)))
    try:
        serve(desk, open_browser=False, say=say.send)
    finally:
        desk.close()


class Address:
    """Where a server is, from what it says."""

    def __init__(self, told):
        self.port, self.token = re.search(r"127\.0\.0\.1:(\d+)/#(\S+)", told).groups()


class Server(Address):
    """A server in a process of its own."""

    def __init__(self, photos, lives=None):
        hear, say = SERVERS.Pipe(duplex=False)
        self.process = SERVERS.Process(target=run_server, args=(photos, say))
        self.process.start()
        say.close()
        if lives is not None:
            threading.Timer(lives, self.process.kill).start()
        with hear:
            super().__init__(hear.recv())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.join()


@dataclass
class Tab:
    """What an annotator's page does: it sends actions, and knows which were acknowledged."""

    server: Address
    annotator: str = "AB"

    @cached_property
    def line(self):
        return http.client.HTTPConnection("127.0.0.1", int(self.server.port), timeout=60)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.line.close()

    def say(self, do, **fields):
        message = {"do": do, "annotator": self.annotator, "client": "tab", **fields}
        headers = {"Authorization": f"Bearer {self.server.token}"}
        self.line.request("POST", "/api", json.dumps(message), headers)
        reply = json.loads(self.line.getresponse().read())
        assert "error" not in reply, reply
        return reply

    def open(self):
        """Wait until the detector has seen all photos."""
        while any(item["pending"] for item in self.say("open")["items"]):
            pass


class Labelling:
    """Labels at random, and what has to be there afterwards."""

    def __init__(self, folder, seed):
        self.photos = [digest(path.read_bytes())[:16] for path in folder.glob("*.png")]
        self.random = random.Random(seed)
        self.known = {}  # (photo, face) -> the label acknowledged last
        self.acknowledged = {}  # action -> seq
        self.sent = None  # an action that is under way

    def next(self):
        photo, face = self.random.choice(self.photos), f"p{self.random.randrange(FACES)}"
        return {
            "id": uuid.uuid4().hex, "photo": photo, "again": 0, "kind": "label", "face": face,
            "label": self.random.choice(EMOTIONS),
        }  # fmt: skip

    def send(self, tab, action):
        self.sent = action
        reply = tab.say("act", seen=max(self.acknowledged.values(), default=0), **action)
        self.acknowledged[action["id"]] = reply["seq"]
        self.known[action["photo"], action["face"]] = action["label"]
        self.sent = None

    def take_up(self, tab):
        """Go on with a new server, as a page does: what was under way is sent again."""
        if self.sent:
            self.send(tab, self.sent)
        self.check(tab)

    def check(self, tab):
        """Hold what the desk says to what was acknowledged."""
        found = {
            (photo, face["id"]): face["label"]
            for photo in self.photos
            for face in tab.say("photo", photo=photo, again=0)["faces"]
            if face["label"]
        }
        assert found == self.known


def journal_rows(photos):
    """Return the journal's actions, once the database has been found to be whole."""
    path = photos / "labels.csv.journal"
    if not path.exists():
        return []
    with contextlib.closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        if not database.execute("SELECT * FROM sqlite_master").fetchall():
            return []  # killed before the tables were there
        return database.execute("SELECT id, seq, annotator FROM actions ORDER BY seq").fetchall()


def check_export(photos):
    """Read the exported labels, where there are some; say whether there are."""
    path = photos / "labels.csv"
    if path.exists():
        labels = load_labels(path)
        assert set(labels) <= {f"{number}.png" for number in range(PHOTOS)}
    return path.exists()


# --- kill -9 ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("servers", "kills"),
    [(1, 10), pytest.param(4, 50, marks=[pytest.mark.slow, pytest.mark.timeout(900)])],
)
def test_a_killed_server_loses_nothing_acknowledged(tmp_path, servers, kills, record_property):
    seconds_to_start(make_photos(tmp_path / "first"))  # the fork server's own start
    folders = [make_photos(tmp_path / str(number)) for number in range(servers)]
    with ThreadPoolExecutor(servers) as pool:  # each waits for its disk most of the time
        done = [*pool.map(label_and_kill, folders, [kills] * servers)]
    actions, exports = map(sum, zip(*done, strict=True))
    record_property(
        "figure", f"{servers * kills} kills, {actions} actions, {exports} times with an export"
    )


def label_and_kill(photos, kills):
    """Kill the server of a folder again and again; count what was labelled and exported."""
    labelling = Labelling(photos, photos.name)
    chance, exports = random.Random(photos.name), 0
    longest = 3 * seconds_to_start(photos)  # a busy machine is no failure
    for _ in range(kills):
        label_until_killed(photos, labelling, chance, chance.uniform(0, longest))
        exports += check_export(photos)
        check_journal(photos, labelling)
    with Server(photos) as server, Tab(server) as tab:
        labelling.take_up(tab)
    assert check_export(photos)
    assert len(labelling.acknowledged) > kills
    assert exports
    return len(labelling.acknowledged), exports


def seconds_to_start(photos):
    begun = time.monotonic()
    with Server(photos) as server, Tab(server) as tab:
        tab.open()
        return time.monotonic() - begun


def label_until_killed(photos, labelling, chance, lives):
    """Label in a new server that is killed after `lives` seconds, which may be before it is up."""
    with (
        contextlib.suppress(*GONE),
        Server(photos, lives=lives) as server,
        Tab(server) as tab,
    ):
        tab.open()
        labelling.take_up(tab)
        while True:
            labelling.send(tab, labelling.next())
            if chance.random() < 0.1:
                tab.say("export")


def check_journal(photos, labelling):
    """Hold the journal to what was acknowledged: it has that, each once, and what was under way."""
    rows = journal_rows(photos)
    there = {action: seq for action, seq, _ in rows}
    assert len(there) == len(rows)
    assert labelling.acknowledged.items() <= there.items()
    under_way = {labelling.sent["id"]} if labelling.sent else set()
    assert there.keys() - labelling.acknowledged.keys() <= under_way


# --- several at once -------------------------------------------------------------------------


@pytest.mark.parametrize("actions", [100, pytest.param(1000, marks=pytest.mark.slow)])
def test_two_annotators_at_once(photos, actions):
    people = ["AB", "CD"]
    work = {who: Labelling(photos, seed=who) for who in people}
    failed = []
    with Server(photos) as server:

        def label(who):
            try:
                with Tab(server, who) as tab:
                    tab.open()
                    for _ in range(actions):
                        work[who].send(tab, work[who].next())
                    work[who].check(tab)
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=label, args=[who]) for who in people]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failed
    rows = journal_rows(photos)
    for who in people:
        assert work[who].acknowledged == {
            id: seq for id, seq, annotator in rows if annotator == who
        }
    assert len(rows) == actions * len(people)
    assert [seq for _, seq, _ in rows] == [*range(1, len(rows) + 1)]
    written = load_labels(photos / "labels.csv")
    found = Counter(who for photo in written for who in written.written[photo].annotators)
    assert found == {who: len(work[who].known) for who in people}


# --- how it ends -----------------------------------------------------------------------------


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_command_ends_with_the_labels_written(photos, end, monkeypatch):
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    command = [sys.executable, "-m", "groupemo", "label", str(photos), "-d", "haar", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        told = next(line for line in process.stdout if "127.0.0.1" in line)
        with Tab(Address(told)) as tab:
            about = {
                "photo": digest((photos / "0.png").read_bytes())[:16],
                "again": 0,
                "seen": 0,
                "face": "d1234",
            }
            tab.open()
            tab.say("act", id="1", kind="add", box=[10, 10, 60, 60], **about)
            tab.say("act", id="2", kind="label", label="sad", **about)
            process.send_signal(end)
            rest = process.stdout.read()
        assert process.wait() == 0
    path = photos / "labels.csv"
    assert f"saved to {path} (faces: 1, photos: 1)\n" in rest
    assert rest.endswith(f"next: groupemo evaluate {photos} {path}\n")
    assert list(load_labels(photos / "labels.csv")) == ["0.png"]
