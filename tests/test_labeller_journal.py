"""The labeller's journal: what it says is saved is on the disk, whatever happens next."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading

import numpy as np
import pytest

from groupemo.errors import LabelError, OutputError
from groupemo.labeller.actions import Add, Complete, Import, Label, Said, Undo, parse, to_json
from groupemo.labeller.journal import Entry, Guesses, Journal, PhotoRow, Proposals

AT = "2026-01-02T03:04:05.678+00:00"


def entry(number, action=None, who="AB"):
    action = action or Label("p0", "happy", confidence=2, votes={"sad": 0.25, "happy": 0.75})
    return Entry(0, f"id-{number}", who, 0, "photo", "tab", AT, action)


def write(journal, *entries):
    with journal.transaction():
        return [journal.append(one) for one in entries]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "labels.csv.journal"


@pytest.fixture
def journal(path):
    with_it = Journal(path)
    yield with_it
    with_it.close()


def test_what_is_written_comes_back_in_order_and_after_a_restart(path, journal):
    actions = [
        Add("dabcd", (0.5, 1.0, 20.1, 30.0)),
        Label("dabcd", None),
        Label("p0", "contempt", "sad", 1, {"sad": 1.0}, True),
        Complete(True),
        Import((Said((1.0, 2.0, 3.0, 4.0), "unsure", extra={"note": "ä"}),), False, "a.csv", "b"),
        Undo(3),
    ]
    entries = [entry(number, action) for number, action in enumerate(actions)]
    assert write(journal, *entries) == [1, 2, 3, 4, 5, 6]
    assert [one.action for one in journal.entries()] == actions
    assert [one.seq for one in journal.entries(since=4)] == [5, 6]
    journal.close()
    again = Journal(path)
    assert [one.action for one in again.entries()] == actions
    assert again.entry("id-2").seq == 3
    assert again.entry("id-2").time == pytest.approx(1767323045.678)
    assert again.entry("id-9") is None
    again.close()


def test_actions_are_spelled_in_json_and_read_back():
    said = Import((Said((1.0, 2.0, 3.0, 4.0), "happy", "sad"),), True, "a.csv", "b")
    assert to_json(said) == {
        "faces": [{"box": [1.0, 2.0, 3.0, 4.0], "label": "happy", "second": "sad"}],
        "complete": True,
        "source": "a.csv",
        "batch": "b",
    }
    assert parse("import", to_json(said)) == said


def test_a_second_action_of_one_id_is_not_written(journal):
    write(journal, entry(1))
    with pytest.raises(OutputError, match="UNIQUE"):
        write(journal, entry(2), entry(1))
    assert [one.id for one in journal.entries()] == ["id-1"]  # neither of the two


def test_nothing_of_a_transaction_that_fails_is_there(journal):
    def fail():
        with journal.transaction():
            journal.append(entry(1))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert journal.entries() == []
    assert write(journal, entry(2))


@pytest.mark.parametrize("table", ["actions", "photos", "proposals", "guesses", "files"])
def test_rows_are_never_changed_or_deleted(path, journal, table):
    write(journal, entry(1))
    journal.add_photos([PhotoRow("a", "a.jpg", "0" * 64, 4, 3)])
    journal.add_proposals(Proposals("a", {}, ((0.0, 0.0, 2.0, 2.0, 0.9),)))
    journal.add_guesses(Guesses("a", "fer", "key", np.full((1, 7), np.nan)))
    journal.add_file("f" * 64)
    database = sqlite3.connect(path)
    for change in (f"DELETE FROM {table}", f"UPDATE {table} SET rowid = 9"):
        with pytest.raises(sqlite3.IntegrityError, match="only appended to"):
            database.execute(change)
    database.close()


def test_the_first_proposals_of_a_photo_stand(journal):
    first = Proposals("a", {"label": "yunet"}, ((0.0, 0.0, 2.0, 2.0, 0.9),))
    assert journal.add_proposals(first) == first
    assert journal.add_proposals(Proposals("a", {"label": "haar"}, ())) == first
    assert journal.proposals() == (1, [first])
    assert journal.proposals(since=1) == (1, [])
    assert journal.proposals_of("b") is None


def test_guesses_keep_those_that_abstained(journal):
    probs = np.array([np.full(7, 1 / 7), np.full(7, np.nan)])
    journal.add_guesses(Guesses("a", "fer", "key", probs))
    journal.add_guesses(Guesses("b", "fer", "key", np.empty((0, 7))))
    found = journal.guesses("a")
    np.testing.assert_array_equal(found[0].probs, probs)
    assert [len(one.probs) for one in journal.guesses()] == [2, 0]


def test_it_waits_for_the_disk_at_each_commit(journal):
    run = journal._database.execute
    assert run("PRAGMA journal_mode").fetchone() == ("wal",)
    assert run("PRAGMA synchronous").fetchone() == (2,)  # FULL


def test_several_may_have_it_open_at_once(path, journal):
    others = [Journal(path) for _ in range(3)]

    def label(number):
        for step in range(20):
            write(others[number], entry(f"{number}-{step}", who=f"W{number}"))

    threads = [threading.Thread(target=label, args=[number]) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entries = journal.entries()
    assert [one.seq for one in entries] == list(range(1, 61))
    for number in range(3):
        mine = [one.id for one in entries if one.annotator == f"W{number}"]
        assert mine == [f"id-{number}-{step}" for step in range(20)]
    for other in others:
        other.close()


def test_a_full_disk_is_an_error_and_loses_nothing(journal):
    write(journal, entry(1))
    [pages] = journal._database.execute("PRAGMA page_count").fetchone()
    journal._database.execute(f"PRAGMA max_page_count = {pages}")
    large = Import((Said((0.0, 0.0, 9.0, 9.0), "sad", extra={"x": "y" * 9000}),), True, "a", "")
    with pytest.raises(OutputError, match=r"labels\.csv\.journal: cannot be written: .* full"):
        write(journal, entry(2, large))
    assert [one.id for one in journal.entries()] == ["id-1"]
    journal._database.execute("PRAGMA max_page_count = 100000")
    assert write(journal, entry(2, large)) == [2]


@pytest.mark.skipif(os.name == "nt", reason="open files cannot be deleted")
@pytest.mark.parametrize("ending", ["", "-wal", "-shm"])
@pytest.mark.parametrize("how", ["deleted", "replaced"])
def test_nothing_is_said_to_be_saved_in_a_journal_that_is_gone(path, journal, ending, how):
    write(journal, entry(1))
    file = path.with_name(path.name + ending)
    file.rename(path.with_name("away"))
    if how == "replaced":
        file.write_bytes(path.with_name("away").read_bytes())
    with pytest.raises(OutputError, match=r"labels\.csv\.journal: .* deleted, moved or replaced"):
        write(journal, entry(2))
    path.with_name("away").rename(file)
    assert write(journal, entry(3)) == [2]


def test_a_journal_may_stand_behind_a_link(tmp_path, path):
    path.symlink_to(tmp_path / "elsewhere.journal")
    journal = Journal(path)
    write(journal, entry(1))
    journal.close()


@pytest.mark.parametrize("path", ["/proc/labels.csv.journal", "/dev/null/labels.csv.journal", "/"])
def test_a_place_that_cannot_be_written(path):
    with pytest.raises(OutputError, match=f"^{path}: cannot be written: .*--labels FILE"):
        Journal(path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_folder_that_is_read_only(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="cannot be written"):
        Journal(tmp_path / "labels.csv.journal")
    tmp_path.chmod(0o700)


@pytest.mark.parametrize("what", ["text", "cut", "garbled", "header"])
def test_a_damaged_journal_is_refused_with_the_remedy(path, what):
    journal = Journal(path)
    write(journal, *(entry(number) for number in range(400)))
    journal.close()
    whole = path.read_bytes()
    middle = len(whole) // 2
    path.write_bytes(
        {
            "text": b"image,x,y,w,h,emotion\n" * 400,
            "cut": whole[:middle],
            "garbled": whole[:8192] + bytes(len(whole) - 8192),
            "header": b"nonsense" + whole[8:],
        }[what]
    )
    with pytest.raises(LabelError, match=r"labels\.csv\.journal: damaged.*move it away"):
        Journal(path)


def test_an_action_that_means_nothing_is_damage(path, journal):
    write(journal, entry(1))
    database = sqlite3.connect(path)
    database.execute(
        "INSERT INTO actions (id, annotator, again, photo, client, at, kind, body)"
        " VALUES ('x', 'AB', 0, 'photo', 'tab', ?, 'label', '{\"face\": \"p0\"}')",
        [AT],
    )
    database.commit()
    database.close()
    with pytest.raises(LabelError, match=r"damaged.*'label' is missing"):
        journal.entries()


def test_another_programs_database_is_left_alone(path):
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE birds (name)")
    database.commit()
    database.close()
    before = path.read_bytes()
    with pytest.raises(LabelError, match="another program's database"):
        Journal(path)
    database = sqlite3.connect(path)
    assert database.execute("SELECT name FROM sqlite_master").fetchall() == [("birds",)]
    database.close()
    assert path.read_bytes() == before


def test_the_journal_of_a_later_version_is_refused(path):
    Journal(path).close()
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 7")
    database.close()
    with pytest.raises(LabelError, match="version 7"):
        Journal(path)


CHILD = """
import sys
from groupemo.labeller.actions import Label
from groupemo.labeller.journal import Entry, Journal, now

journal, run = Journal(sys.argv[1]), sys.argv[2]
for number in range(100_000):
    with journal.transaction():
        label = Label("p0", "happy" if number % 2 else "sad")
        entry = Entry(0, f"{run}-{number}", "AB", 0, "photo", run, now(), label)
        seq = journal.append(entry)
    print(seq, entry.id, flush=True)
"""


def killed(path, run, chance):
    """Let a process write, kill it at some moment, and return what it said was saved."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path), str(run)], stdout=subprocess.PIPE, text=True
    )
    lines = [child.stdout.readline() for _ in range(chance.randrange(1, 40))]
    timer = threading.Timer(chance.random() / 100, child.send_signal, [signal.SIGKILL])
    timer.start()
    lines += child.stdout.readlines()
    timer.join()
    child.wait()
    child.stdout.close()
    assert child.returncode == -signal.SIGKILL
    return [tuple(line.split()) for line in lines if line.endswith("\n")]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill -9 here")
@pytest.mark.parametrize("kills", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_what_was_said_to_be_saved_outlives_any_kill(path, kills):
    chance = random.Random(kills)
    saved = []
    for run in range(kills):
        saved += killed(path, run, chance)
        journal = Journal(path)  # checks the database, too
        entries = journal.entries()
        journal.close()
        known = {(str(one.seq), one.id) for one in entries}
        assert known.issuperset(saved)
        assert [one.seq for one in entries] == list(range(1, len(entries) + 1))
        assert len(entries) <= len(saved) + run + 1  # at most the action in flight, each time
    assert len(saved) >= 10 * kills
