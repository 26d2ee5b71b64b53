"""What annotators have said: a fold of the journal, with undo and redo."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groupemo.errors import LabelError
from groupemo.labeller.actions import (
    LABELS,
    Add,
    Adjudicate,
    Adjudicator,
    Complete,
    Delete,
    Guess,
    Import,
    Label,
    Move,
    Redo,
    Said,
    Undo,
    parse,
    within,
)
from groupemo.labeller.journal import Entry, Proposals
from groupemo.labeller.state import Face, Ledger, Sheet, fold

PHOTOS, PEOPLE, PASSES = ("a", "b"), ("AB", "CD"), (0, 1)
PROPOSALS = [
    Proposals("a", {}, ((0.0, 0.0, 9.0, 9.0, 0.9), (20.0, 0.0, 29.0, 9.0, 0.8))),
    Proposals("b", {}, ((5.0, 5.0, 15.0, 15.0, 0.7),)),
]
FACES = ("p0", "p1", "daaaa", "dbbbb")

boxes = st.tuples(*(st.integers(0, 20) for _ in range(4))).map(
    lambda t: (float(t[0]), float(t[1]), float(t[0] + t[2] + 2), float(t[1] + t[3] + 2))
)
actions = st.one_of(
    st.builds(Add, st.sampled_from(FACES[2:]), boxes),
    st.builds(Move, st.sampled_from(FACES), boxes),
    st.builds(Delete, st.sampled_from(FACES)),
    st.builds(Label, st.sampled_from(FACES), st.sampled_from([*LABELS, None])),
    st.builds(Complete, st.booleans()),
    st.builds(
        Import,
        st.lists(st.builds(Said, boxes, st.sampled_from(LABELS)), max_size=2).map(tuple),
        st.booleans(),
        st.just("x.csv"),
        st.sampled_from(["one", "two"]),
    ),
)
commands = st.lists(
    st.tuples(
        st.sampled_from(PEOPLE),
        st.sampled_from(PHOTOS),
        st.sampled_from(PASSES),
        st.one_of(actions.map(lambda action: action), st.sampled_from(["undo", "redo", "guess"])),
    ),
    max_size=25,
)


class Clerk:
    """Writes entries as the desk does, into a ledger."""

    def __init__(self):
        self.ledger, self.entries = Ledger(), []
        for proposals in PROPOSALS:
            self.ledger.propose(proposals)

    def do(self, who, photo, again, what, client="tab"):
        """Write an action; return its entry, or None where there is nothing to undo or redo."""
        if what in ("undo", "redo"):
            ledger = self.ledger
            target = (
                ledger.history(who).next_undo if what == "undo" else ledger.history(who).next_redo
            )
            if target is None:
                return None
            kind = Undo if what == "undo" else Redo
            photo, again, what = target.photo, target.again, kind(target.seq)
        what = Guess() if what == "guess" else what
        seq = len(self.entries) + 1
        at = f"2026-01-01T00:00:{seq % 60:02}.000+00:00"
        entry = Entry(seq, f"id{seq}", who, again, photo, client, at, what)
        self.entries.append(entry)
        self.ledger.take(entry)
        return entry


def everything(ledger, who):
    return [ledger.sheet(who, photo, again) for photo in PHOTOS for again in PASSES]


def written(story):
    clerk = Clerk()
    for command in story:
        clerk.do(*command)
    return clerk


def again(entries, *, proposals_after=0):
    """Return the ledger of a restart; proposals may have come in the middle."""
    ledger = Ledger()
    for number, entry in enumerate(entries):
        if number == proposals_after:
            for proposals in PROPOSALS:
                ledger.propose(proposals)
        ledger.take(entry)
    if proposals_after >= len(entries):
        for proposals in PROPOSALS:
            ledger.propose(proposals)
    return ledger


@given(commands)
def test_undo_and_redo_walk_through_the_states_there_were(story):
    clerk = Clerk()
    pasts, futures = {who: [] for who in PEOPLE}, {who: [] for who in PEOPLE}
    batch = dict.fromkeys(PEOPLE)
    for who, photo, pass_, what in story:
        before = everything(clerk.ledger, who)
        done = clerk.do(who, photo, pass_, what)
        if what == "undo":
            assert (done is None) == (not pasts[who])
            if done:
                futures[who].append(before)
                assert everything(clerk.ledger, who) == pasts[who].pop()
                batch[who] = clerk.ledger.history(who).next_undo
        elif what == "redo":
            assert (done is None) == (not futures[who])
            if done:
                pasts[who].append(before)
                assert everything(clerk.ledger, who) == futures[who].pop()
                batch[who] = clerk.ledger.history(who).next_undo
        elif what != "guess":
            futures[who].clear()
            last, batch[who] = batch[who], done
            together = isinstance(what, Import) and last and isinstance(last.action, Import)
            if not (together and last.action.batch == what.batch):  # one import is one step
                pasts[who].append(before)


@given(commands, st.integers(0, 30))
def test_as_many_redos_as_undos_change_nothing(story, times):
    clerk = written(story)
    before = everything(clerk.ledger, "AB")
    undone = sum(clerk.do("AB", "a", 0, "undo") is not None for _ in range(times))
    redone = sum(clerk.do("AB", "a", 0, "redo") is not None for _ in range(undone))
    assert undone == redone
    assert everything(clerk.ledger, "AB") == before


@given(commands, st.integers(0, 25))
def test_a_restart_gives_the_same_state(story, cut):
    clerk = written(story)
    restarted = again(clerk.entries, proposals_after=cut)
    for who in PEOPLE:
        assert everything(restarted, who) == everything(clerk.ledger, who)
        assert restarted.history(who).next_undo == clerk.ledger.history(who).next_undo
        assert restarted.history(who).next_redo == clerk.ledger.history(who).next_redo
    assert restarted.annotators("a") == clerk.ledger.annotators("a")


@given(commands)
def test_annotators_do_not_touch_each_other(story):
    clerk = written(story)
    alone = Clerk()
    for command in story:
        if command[0] == "AB":
            alone.do(*command)
    for mine, theirs in zip(
        everything(alone.ledger, "AB"), everything(clerk.ledger, "AB"), strict=True
    ):
        assert without_ids(mine) == without_ids(theirs)


def without_ids(sheet):
    """Return a sheet with faces numbered: ids of imported ones hold the entry's number."""
    faces = (Face(**{**vars(face), "id": str(at)}) for at, face in enumerate(sheet.faces))
    return Sheet(tuple(faces), sheet.complete, sheet.extra)


@given(commands)
def test_a_sheet_is_the_fold_of_what_stands(story):
    clerk = written(story)
    for who in PEOPLE:
        for photo in PHOTOS:
            standing = clerk.ledger._standing.get((who, 0, photo), [])
            proposed = clerk.ledger.proposed(photo)
            assert clerk.ledger.sheet(who, photo) == fold(proposed, standing)


@pytest.fixture
def clerk():
    return Clerk()


def label(clerk, face, word, *, photo="a", again=0, who="AB", client="tab", **said):
    return clerk.do(who, photo, again, Label(face, word, **said), client)


def test_a_face_is_drawn_moved_labelled_and_deleted(clerk):
    clerk.do("AB", "a", 0, Add("daaaa", (1.0, 1.0, 5.0, 5.0)))
    clerk.do("AB", "a", 0, Move("daaaa", (2.0, 1.0, 6.0, 5.0)))
    label(clerk, "daaaa", "sad", second="angry", confidence=1, votes={"sad": 1.0})
    label(clerk, "p1", "unsure")
    clerk.do("AB", "a", 0, Delete("p0"))
    clerk.do("AB", "a", 0, Complete(True))
    sheet = clerk.ledger.sheet("AB", "a")
    assert sheet.faces == (
        Face("p1", (20.0, 0.0, 29.0, 9.0), True, 0.8, "unsure"),
        Face("daaaa", (2.0, 1.0, 6.0, 5.0), False, None, "sad", "angry", 1, {"sad": 1.0}),
    )
    assert (sheet.labelled, sheet.unsure, sheet.complete, sheet.finished) == (2, 1, True, True)
    assert clerk.ledger.sheet("CD", "a").faces == clerk.ledger.proposed("a").faces


def test_a_label_replaces_all_that_was_said_and_may_be_taken_back(clerk):
    label(clerk, "p0", "happy", second="sad", confidence=3)
    label(clerk, "p0", "angry")
    assert clerk.ledger.sheet("AB", "a").face("p0").second is None
    label(clerk, "p0", None)
    assert clerk.ledger.sheet("AB", "a").labelled == 0


def test_a_photo_with_an_unlabelled_face_is_not_finished(clerk):
    clerk.do("AB", "a", 0, Complete(True))
    assert not clerk.ledger.sheet("AB", "a").finished


def test_an_import_keeps_the_proposals_it_has_no_face_for_unless_complete(clerk):
    said = (Said((1.0, 1.0, 10.0, 10.0), "happy", extra={"note": "x"}),)
    clerk.do("AB", "a", 0, Import(said, False, "x.csv", ""))
    assert [face.id for face in clerk.ledger.sheet("AB", "a").faces] == ["i1-0", "p1"]
    clerk.do("AB", "a", 0, Import(said, True, "x.csv", ""))
    sheet = clerk.ledger.sheet("AB", "a")
    assert [(face.id, face.label, face.extra) for face in sheet.faces] == [
        ("i2-0", "happy", {"note": "x"})
    ]
    assert sheet.finished


def test_one_import_is_one_step_and_one_at_the_start_is_none(clerk):
    for photo in PHOTOS:
        clerk.do("AB", photo, 0, Import((), True, "x.csv", "batch"))
    assert all(clerk.ledger.sheet("AB", photo).complete for photo in PHOTOS)
    clerk.do("AB", "", 0, "undo")
    assert not any(clerk.ledger.sheet("AB", photo).complete for photo in PHOTOS)
    clerk.do("CD", "a", 0, Import((), True, "x.csv", ""))
    assert clerk.ledger.history("CD").next_undo is None


def test_the_repeat_has_the_faces_of_the_first_pass_without_labels(clerk):
    label(clerk, "p0", "happy", confidence=2)
    label(clerk, "p1", "not_a_face")
    clerk.do("AB", "a", 0, Add("daaaa", (1.0, 20.0, 5.0, 25.0)))
    label(clerk, "daaaa", "ignore")
    assert clerk.ledger.sheet("AB", "a", 1).faces == (Face("p0", (0.0, 0.0, 9.0, 9.0), True, 0.9),)
    label(clerk, "p0", "sad", again=1)
    clerk.do("AB", "a", 0, Move("p0", (1.0, 0.0, 9.0, 9.0)))
    first, second = (clerk.ledger.sheet("AB", "a", each).face("p0") for each in PASSES)
    assert (first.label, second.label) == ("happy", "sad")
    assert first.box == second.box
    clerk.do("AB", "a", 0, Delete("p0"))
    assert clerk.ledger.sheet("AB", "a", 1).faces == ()
    assert clerk.ledger.repeated("AB") == ["a"]


def test_conflicts_are_with_other_tabs_on_the_same_face(clerk):
    def conflicts(action, seen, client="other", again=0, who="AB"):
        return clerk.ledger.conflicts(Entry(0, "x", who, again, "a", client, "", action), seen)

    label(clerk, "p0", "happy")
    assert conflicts(Label("p0", "sad"), 0)
    assert conflicts(Delete("p0"), 0)
    assert conflicts(Complete(True), 0)
    assert not conflicts(Label("p1", "sad"), 0)
    assert not conflicts(Label("p0", "sad"), 1)
    assert not conflicts(Label("p0", "sad"), 0, client="tab")
    assert not conflicts(Label("p0", "sad"), 0, again=1)
    assert not conflicts(Label("p0", "sad"), 0, who="CD")
    clerk.do("AB", "a", 0, Complete(True))
    assert conflicts(Complete(False), 1)
    assert not conflicts(Label("p1", "sad"), 1)
    clerk.do("AB", "", 0, "undo")
    clerk.do("AB", "", 0, "undo")  # what is undone was changed, too
    assert conflicts(Label("p0", "sad"), 3)
    assert not conflicts(Label("p1", "sad"), 3)
    assert clerk.ledger.changed("AB", "other", 3) == [("a", 0)]
    assert clerk.ledger.changed("AB", "tab", 0) == []
    assert clerk.ledger.changed("CD", "other", 0) == []


def test_a_new_step_drops_what_could_have_been_redone(clerk):
    label(clerk, "p0", "happy")
    clerk.do("AB", "", 0, "undo")
    clerk.do("AB", "a", 0, "guess")  # is no step
    assert clerk.ledger.history("AB").next_redo.seq == 1
    label(clerk, "p1", "sad")
    assert clerk.ledger.history("AB").next_redo is None


def test_undoing_out_of_turn_is_damage(clerk):
    label(clerk, "p0", "happy")
    with pytest.raises(LabelError, match="out of turn"):
        clerk.ledger.take(Entry(2, "x", "AB", 0, "a", "tab", "", Undo(7)))


def test_adjudicators_are_no_annotators(clerk):
    label(clerk, "p0", "happy")
    clerk.do("Z", "", 0, Adjudicator())
    clerk.do("Z", "a", 0, Adjudicate((0.0, 0.0, 9.0, 9.0), "sad"))
    assert clerk.ledger.annotators() == clerk.ledger.annotators("a") == ["AB"]
    assert clerk.ledger.adjudications("a") == [("Z", Adjudicate((0.0, 0.0, 9.0, 9.0), "sad"))]
    clerk.do("Z", "", 0, "undo")
    assert clerk.ledger.adjudications("a") == []


# What comes from outside

NONSENSE = {
    "kind": ("dance", {}),
    "no kind": (None, {}),
    "no object": ("label", [1]),
    "missing": ("label", {"face": "p0"}),
    "unknown": ("delete", {"face": "p0", "now": True}),
    "label": ("label", {"face": "p0", "label": "joyful"}),
    "list": ("label", {"face": "p0", "label": ["happy"]}),
    "second": ("label", {"face": "p0", "label": "happy", "second": 3}),
    "confidence": ("label", {"face": "p0", "label": "happy", "confidence": True}),
    "confidence 4": ("label", {"face": "p0", "label": "happy", "confidence": 4}),
    "votes": ("label", {"face": "p0", "label": "happy", "votes": {"contempt": 1}}),
    "no votes": ("label", {"face": "p0", "label": "happy", "votes": {}}),
    "zero votes": ("label", {"face": "p0", "label": "happy", "votes": {"sad": 0}}),
    "less than zero": ("label", {"face": "p0", "label": "sad", "votes": {"sad": 2, "fear": -1}}),
    "face": ("delete", {"face": "../p0"}),
    "long face": ("delete", {"face": "d" * 200}),
    "number": ("delete", {"face": 7}),
    "flag": ("complete", {"complete": 1}),
    "box": ("move", {"face": "p0", "box": [1, 2, 3]}),
    "box of text": ("move", {"face": "p0", "box": ["1", 2, 3, 4]}),
    "box of truths": ("move", {"face": "p0", "box": [False, False, True, True]}),
    "turned box": ("move", {"face": "p0", "box": [5, 1, 3, 4]}),
    "infinite box": ("move", {"face": "p0", "box": [0, 0, float("inf"), 4]}),
    "box of nothing": ("move", {"face": "p0", "box": [0, 0, float("nan"), 4]}),
    "huge box": ("move", {"face": "p0", "box": [0, 0, 10**400, 4]}),
    "target": ("undo", {"target": 0}),
}


@pytest.mark.parametrize("nonsense", NONSENSE)
def test_what_means_nothing_is_refused(nonsense):
    with pytest.raises(LabelError):
        parse(*NONSENSE[nonsense])


@given(
    st.sampled_from(sorted(LABELS)),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text() | st.integers(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    ),
)
def test_whatever_comes_is_read_or_refused(word, value):
    for kind in ("add", "move", "delete", "label", "complete", "import", "undo"):
        for field in ("face", "box", "label", "votes", "confidence", "faces", "target"):
            body = {"face": "p0", "label": word, "box": [0, 0, 5, 5], field: value}
            try:
                parse(kind, body)
            except LabelError:
                continue


def test_a_box_is_kept_to_a_tenth_of_a_pixel_and_inside_the_photo():
    near = Add("daaaa", (-0.04, 0.04, 19.96, 10.0))
    assert within(near, 20, 10) == Add("daaaa", (0.0, 0.0, 20.0, 10.0))
    for box in ((0.0, 0.0, 20.1, 5.0), (-0.1, 0.0, 5.0, 5.0), (0.0, 3.0, 5.0, 10.2)):
        with pytest.raises(LabelError, match="leaves the photo, which has 20 x 10 pixels"):
            within(Move("p0", box), 20, 10)
    assert within(Add("daaaa", (0.3, 0.8, 2.3, 2.8)), 20, 10)  # 2.3 - 0.3 is below 2 in binary
    with pytest.raises(LabelError, match="under 2 pixels"):
        within(Move("p0", (1.0, 1.0, 2.9, 9.0)), 20, 10)


def test_votes_are_kept_as_shares_of_one():
    said = Label("p0", "sad", votes={"sad": 2.0, "fear": 1.0, "angry": 0.0})
    assert within(said, 9, 9).votes == {"sad": 0.6667, "fear": 0.3333}


def test_a_label_taken_back_takes_all_with_it():
    assert within(Label("p0", None, "sad", 2), 9, 9) == Label("p0", None)
