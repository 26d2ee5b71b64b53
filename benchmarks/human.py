"""How far do people agree on a face? The ten votes a face of FER+, on FER2013's PublicTest.

python benchmarks/human.py [--data ../shared/data]
"""

from __future__ import annotations

import argparse
import math
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from groupemo import markdown
from groupemo.emotions import CONTEMPT, EMOTIONS, parse_emotion
from groupemo.files import write_atomically
from groupemo.metrics import classification as cls
from groupemo.metrics.agreement import (
    Ballots,
    ceilings,
    confusion_between,
    fleiss_kappa,
    human_tally,
    krippendorff_alpha,
    majority,
)
from groupemo.metrics.probabilistic import entropy
from groupemo.metrics.tally import Tally
from groupemo.metrics.uncertainty import Weights, draw_weights, interval, weigh

ROOT = Path(__file__).resolve().parent.parent
K = len(EMOTIONS)
SHARED = ["neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear"]
OTHERS = [CONTEMPT, "unknown", "not_a_face"]
FEWER = (1, 3, 5, 7, 9)

NOTES = """`python benchmarks/human.py`. Perceived expressions.

All faces of FER2013's PublicTest; ten people answered for each. A face is a photo here: the 95 %
intervals (percentile) are over faces.

- *All ten answers* has contempt, unknown and not a face as classes of their own; *the seven
  classes* has only the votes for these, as a label file of groupemo holds them. The three others
  are seldom a majority: balanced accuracy and macro-F1 over all ten hang on a few faces.
- *One annotator*: a random one of the ten, judged against the majority of the other nine; faces
  where these tie are left out (`groupemo.metrics.agreement`). *As models are judged*: as in
  [backends.md](backends.md), on faces where the majority of all answers is one of the seven
  classes; any other answer is wrong there. It is what one more person would score, not a bound: a
  model that was trained on majorities may pass it.
- *Fewer annotators*: over all ways to choose that many of the ten. *Same majority*: theirs is that
  of all ten, themselves included; a tie on either side is a disagreement. *Same words*: they
  chose the same set of answers as all ten.

The publication (Barsoum et al., Training Deep Networks for Facial Expression Recognition with
Crowd-Sourced Label Distribution, ICMI 2016) is commonly quoted with 46 %, 67 % and 80 % agreement
for three, five and seven annotators. Majorities agree far more often than that on these votes, so
it is another measure; the same set of words comes nearer. How the publication measured it was not
checked against its text: no figure here is claimed to reproduce it."""


def read_votes(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the ten columns of votes, the seven classes first, and FER2013's own labels."""
    table = pd.read_csv(folder / "public_test.csv")
    labels = np.array([EMOTIONS.index(parse_emotion(word)) for word in table["fer2013"]])
    shared = table[SHARED].rename(columns=parse_emotion)[list(EMOTIONS)]
    return np.hstack([shared, table[OTHERS]]).astype(np.float64), labels


def agreed(votes: np.ndarray, weights: Weights) -> dict[str, np.ndarray]:
    """Return agreement and one annotator's figures, each shape (draws,)."""
    cast = Ballots(np.arange(len(votes)), len(votes), votes)
    human = weigh(human_tally(cast), weights)
    one = ceilings(human)
    judged = human.counts[..., :K, :]
    return {
        "Fleiss' kappa": fleiss_kappa(cast, weights),
        "Krippendorff's alpha": krippendorff_alpha(cast, weights),
        "one annotator: accuracy": one["matched_accuracy"],
        "one annotator: balanced accuracy": one["matched_balanced_accuracy"],
        "one annotator: macro-F1": one["matched_macro_f1"],
        "one annotator: Cohen's kappa": one["matched_kappa"],
        "as models are judged: accuracy": (
            np.trace(judged, axis1=-2, axis2=-1) / judged.sum(axis=(-2, -1))
        ),
        "entropy of the votes, nats": one["matched_soft_cross_entropy"],
    }


def fewer(votes: np.ndarray, count: int) -> dict[str, float]:
    """Return how often `count` of ten agree with all ten."""
    people = np.stack([np.repeat(np.arange(votes.shape[1]), row.astype(int)) for row in votes])
    ballots = np.eye(votes.shape[1])[people]
    all_ten = majority(votes)
    majorities, words = [], []
    for chosen in combinations(range(people.shape[1]), count):
        some = ballots[:, chosen].sum(axis=1)
        majorities.append(((majority(some) == all_ten) & (all_ten >= 0)).mean())
        words.append(((some > 0) == (votes > 0)).all(axis=1).mean())
    return {"same majority": float(np.mean(majorities)), "same words": float(np.mean(words))}


def fer2013(votes: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return how FER2013's labels agree with the votes' majority, where it is one of the seven."""
    given = majority(votes)
    given = np.where(given < K, given, -1)
    pairs = Tally(np.pad(confusion_between(given, labels, K), (0, 2)))
    return {
        "faces": int((given >= 0).sum()),
        "accuracy": float(cls.accuracy(pairs, "matched")),
        "macro-F1": float(cls.macro(cls.f1(pairs, "matched"), cls.support(pairs, "matched"))),
        "kappa": float(cls.cohen_kappa(pairs)),
    }


def report(folder: Path) -> str:
    """Return the tables in Markdown."""
    votes, labels = read_votes(folder)
    doubt, top = entropy(votes), votes.max(axis=1)
    quantiles = np.quantile(doubt, [0.25, 0.5, 0.75, 1])
    spread = [
        [unit, *(f"{value / scale:.3f}" for value in (doubt.mean(), *quantiles))]
        for unit, scale in (("nats", 1), ("bits", math.log(2)))
    ]
    some = [
        [str(count), *(f"{share:.1%}" for share in fewer(votes, count).values())] for count in FEWER
    ]
    own = fer2013(votes, labels)
    return f"""{agreement_table(votes)}

## Entropy of a face's ten votes

{markdown.table(["", "mean", "lower quartile", "median", "upper quartile", "most"], spread)}

All ten agree on {(top == 10).mean():.1%} of faces, six or more on {(top > 5).mean():.1%};
{(majority(votes) < 0).mean():.1%} are tied.

## Fewer annotators

{markdown.table(["annotators", "same majority", "same words"], some)}

## FER2013's own labels against the majority of the votes

{own["faces"]:,} of {len(votes):,} faces have a majority that is one of the seven classes: accuracy
{own["accuracy"]:.3f}, macro-F1 {own["macro-F1"]:.3f}, Cohen's kappa {own["kappa"]:.3f}.
"""


def agreement_table(votes: np.ndarray) -> str:
    """Return the agreement on all answers and on the seven classes."""
    sets = {"all ten answers": votes, "the seven classes": votes[:, :K]}
    once, weights = np.ones((1, len(votes))), draw_weights(len(votes))
    columns = []
    for chosen in sets.values():
        drawn = agreed(chosen, weights)
        columns.append([
            "{:.3f} [{:.3f}, {:.3f}]".format(*point, *interval(drawn[name]))
            for name, point in agreed(chosen, once).items()
        ])  # fmt: skip
    faces = [f"{(chosen.sum(axis=1) >= 2).sum():,}" for chosen in sets.values()]
    names = agreed(votes, once)
    rows = [["faces with two votes or more", *faces], *zip(names, *columns, strict=True)]
    return markdown.table(["", *sets], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "human.md")
    options = parser.parse_args()
    folder = options.data / "fer2013"
    if not (folder / "public_test.csv").exists():
        sys.exit(f"nothing measured: no public_test.csv in {folder}")
    text = f"# How far people agree on a face\n\n{NOTES}\n\n{report(folder)}"
    print(text)
    write_atomically(options.out, text.encode())


if __name__ == "__main__":
    main()
