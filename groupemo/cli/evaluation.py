"""Commands that judge answers against hand labels: `evaluate`, `report`, `demo`."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

import groupemo.cli._options as opt
from groupemo.cli._console import (
    briefly,
    complain,
    counted,
    end,
    failures,
    figure,
    marked,
    note_stand_ins,
    plain,
    print_json,
    print_note,
    print_table,
    resumable,
)
from groupemo.images import MAX_PIXELS
from groupemo.metrics.probabilistic import MIN_PROB
from groupemo.plugins import DEFAULT_BACKEND, DEFAULT_DETECTOR, is_stand_in

if TYPE_CHECKING:
    from groupemo.evaluation import Evaluation

__all__ = ["demo", "evaluate", "report"]

Row = Mapping[str, Any]


def evaluate(
    photos: opt.Photos,
    labels: Annotated[
        Path, typer.Argument(metavar="LABELS", help="Hand labels.", show_default=False)
    ],
    detector: opt.Detectors = [DEFAULT_DETECTOR],  # noqa: B006 - Typer copies it
    backend: opt.Backends = [DEFAULT_BACKEND],  # noqa: B006
    min_iou: Annotated[
        float,
        typer.Option(metavar="X", help="Least overlap (IoU) of a found face with a labelled one."),
    ] = 0.5,
    partial: Annotated[
        bool,
        typer.Option("--partial", help="Leave out photos without labels, and the reverse."),
    ] = False,
    out: opt.Out = Path("reports/evaluation"),
    show_faces: opt.ShowFaces = False,
    pdf: opt.Pdf = False,
    workers: opt.Workers = None,
    max_pixels: opt.MaxPixels = MAX_PIXELS,
    as_json: opt.Json = False,
) -> None:
    """Say how right detectors and backends are on photos labelled by hand.

    Prints the scores, and writes the analyses, tables and report (index.html) to
    the folder. A run that was stopped goes on where it was.
    """
    from groupemo.evaluation import evaluate as run
    from groupemo.report import write_report

    with resumable(out / "analyses.jsonl"):
        evaluation = run(
            photos,
            labels,
            detectors=detector,
            backends=backend,
            min_iou=min_iou,
            partial=partial,
            workers=workers,
            out=out,
            max_pixels=max_pixels,
        )
        command = _command(photos, labels, detector, backend, min_iou, partial, out)
        evaluation = replace(evaluation, manifest={"command": command, **evaluation.manifest})
        page = write_report(evaluation, out, show_faces=show_faces, pdf=pdf)
    _tell(evaluation, _files(page, pdf), as_json)


def _command(
    photos: Sequence[str],
    labels: Path,
    detectors: Sequence[str],
    backends: Sequence[str],
    min_iou: float,
    partial: bool,
    out: Path,
) -> str:
    """Return the command that makes an evaluation again."""
    words = ["groupemo", "evaluate", *photos, str(labels)]
    words += [word for each in detectors for word in ("-d", each)]
    words += [word for each in backends for word in ("-b", each)]
    words += ["--min-iou", f"{min_iou:g}", *["--partial"] * partial, "--out", str(out)]
    return shlex.join(words)


def report(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="What evaluate wrote (--out).", show_default=False),
    ],
    show_faces: opt.ShowFaces = False,
    pdf: opt.Pdf = False,
    as_json: opt.Json = False,
) -> None:
    """Make the report of a saved evaluation again, without running a model."""
    from groupemo.evaluation import load_evaluation
    from groupemo.report import write_report

    page = write_report(load_evaluation(folder), folder, show_faces=show_faces, pdf=pdf)
    if as_json:
        print_json(_files(page, pdf))
    else:
        _print_files(_files(page, pdf))


def demo(
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Labels of the sample photos; groupemo's own if not given.",
            show_default=False,
        ),
    ] = None,
    photos: Annotated[
        Path, typer.Option(metavar="DIR", help="The folder the sample photos are put in.")
    ] = Path("data/samples"),
    out: opt.Out = Path("reports/demo"),
    as_json: opt.Json = False,
) -> None:
    """Evaluate all detectors and backends that can be had here on the sample photos."""
    from groupemo.demo import run_demo
    from groupemo.samples import labels_file

    with resumable(out / "analyses.jsonl"):
        done = run_demo(labels or labels_file(), photos, out)
    for name, reason in done.out_of_reach.items():
        complain(f"out of reach: {name}: {briefly(reason)}")
    _tell(done.evaluation, _files(done.page), as_json)


def _files(page: Path, pdf: bool = False) -> dict[str, Path]:
    """Return what a reader opens: the page, and the PDF beside it where there is one."""
    return {"report": page, **({"pdf": page.with_name("report.pdf")} if pdf else {})}


def _print_files(files: dict[str, Path]) -> None:
    for kind, path in files.items():
        typer.echo(plain(f"{kind}: {path}"))


def _tell(evaluation: Evaluation, files: dict[str, Path], as_json: bool) -> None:
    """Print an evaluation, name the photos that failed, and end."""
    rows = _rows(evaluation)
    failed = failures(one for scores in evaluation.scores for one in scores.failures)
    if as_json:
        print_json(
            {
                "min_iou": evaluation.min_iou,
                "photos": list(evaluation.labels),
                "left_out": evaluation.left_out,
                "scores": [{**row, "stand_in": is_stand_in(row["backend"])} for row in rows],
                "failures": failed,
                **files,
            }
        )
    else:
        _print_scores(evaluation, rows)
        _print_files(files)
    end(failed)


def _rows(evaluation: Evaluation) -> list[Row]:
    records = evaluation.table().reset_index().to_dict("records")
    return [{str(name): value for name, value in record.items()} for record in records]


def _print_scores(evaluation: Evaluation, rows: Sequence[Row]) -> None:
    detectors = {row["detector"]: row for row in rows}
    print_table(
        f"Detection: faces found, whatever their expression (IoU >= {evaluation.min_iou:g})",
        ("Detector", "Labelled>", "Missed>", "Phantom>", "Recall>", "Precision>", "AP50>"),
        [
            (
                row["detector"],
                row["labelled"],
                row["missed"],
                row["phantom"],
                _cell(row, "detection_recall"),
                _cell(row, "detection_precision"),
                _cell(row, "detection_ap50"),
            )
            for row in detectors.values()
        ],
    )
    print_table(
        "Matched: the backend alone, on faces found and answered",
        ("Detector", "Backend", "Faces>", "Accuracy>", "Macro-F1>", "Log-loss>"),
        [
            (
                *_pair(row),
                row["matched"],
                _cell(row, "matched_accuracy"),
                _cell(row, "matched_macro_f1"),
                _cell(row, "matched_log_loss"),
            )
            for row in rows
        ],
    )
    print_table(
        "End-to-end: a missed face costs recall, a phantom precision",
        ("Detector", "Backend", "Accuracy>", "Macro-F1>", "Seconds a photo>"),
        [
            (
                *_pair(row),
                _cell(row, "end_to_end_accuracy"),
                _cell(row, "end_to_end_macro_f1"),
                f"{row['seconds_per_photo']:.3f}",
            )
            for row in rows
        ],
    )
    clipped = sum(int(row["clipped"]) for row in rows)
    print_note(
        f"{counted(len(evaluation.labels), 'photo')}. [low, high]: 95 % interval over photos."
        " Log-loss in nats, lower is better; it takes a probability below"
        f" {MIN_PROB:g} for {MIN_PROB:g}: here on {counted(clipped, 'face')}."
    )
    note_stand_ins(row["backend"] for row in rows)
    if evaluation.left_out:
        print_note(f"left out, for lack of labels or photo: {', '.join(evaluation.left_out)}")


def _cell(row: Row, name: str) -> Text:
    return figure(row[name], row.get(f"{name}_low", math.nan), row.get(f"{name}_high", math.nan))


def _pair(row: Row) -> tuple[str, str]:
    return row["detector"], marked(row["backend"])
