"""The floors: imports point down, and the core and `import groupemo` load nothing heavy."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "groupemo"

FLOORS = [
    "_version errors files emotions boxes faces images labels label_csv label_formats analysis"
    " matching environment metrics markdown",
    "plugins catalog packages models detectors backends crops samples calibration traits",
    "engine scores detections difference figures slices planning ablation group_table",
    "pipeline evaluation comparison standing testing importing",
    "drawing export plots report robustness training",
    "cli demo doctor labeller notebook __main__",
]
FLOOR = {room: level for level, rooms in enumerate(FLOORS) for room in rooms.split()}
HEAVY = {
    "cv2", "onnxruntime", "onnx", "h5py", "dlib", "_dlib_pybind11", "pandas", "matplotlib",
    "jinja2", "rich", "typer", "tqdm", "pooch", "starlette", "uvicorn",
}  # fmt: skip


def modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts != ("__init__",):
            yield (
                ".".join(part for part in parts if part != "__init__"),
                ast.parse(path.read_text(encoding="utf-8")),
            )


def imported(tree, *, everywhere):
    """Yield the dotted names a tree imports; in functions too, but for `_repr_html_`, or not."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are written out in full"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        elif not isinstance(node, ast.FunctionDef) or (everywhere and node.name != "_repr_html_"):
            yield from imported(node, everywhere=everywhere)


def own(tree):
    """Yield the modules of groupemo a tree imports anywhere, without the package's name."""
    known = {name for name, _ in MODULES}
    for name in imported(tree, everywhere=True):
        inner = name.removeprefix("groupemo.")
        if name.startswith("groupemo.") and inner in known:
            yield inner


MODULES = list(modules())


@pytest.mark.parametrize(("name", "tree"), MODULES, ids=[name for name, _ in MODULES])
def test_imports_point_down(name, tree):
    here = FLOOR[name.partition(".")[0]]
    up = [other for other in own(tree) if FLOOR[other.partition(".")[0]] > here]
    assert not up, f"groupemo.{name} imports from a floor above: {up}"


def test_imports_make_no_ring():
    TopologicalSorter({name: set(own(tree)) - {name} for name, tree in MODULES}).prepare()


@pytest.mark.parametrize(("name", "tree"), MODULES, ids=[name for name, _ in MODULES])
def test_nothing_heavy_at_the_top_of_the_core(name, tree):
    if FLOOR[name.partition(".")[0]] == 0:
        tops = {other.partition(".")[0] for other in imported(tree, everywhere=False)}
        assert not tops & HEAVY


def test_importing_groupemo_loads_nothing_heavy():
    heavy = HEAVY | {"torch", "tensorflow", "scipy", "sklearn", "PIL"}
    code = f"import groupemo, sys; print(*({heavy!r} & set(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout.split() == []


def test_using_the_core_loads_nothing_heavy():
    code = (
        "import sys, groupemo; groupemo.Labels; groupemo.Faces; groupemo.load_analyses;"
        f"groupemo.score; groupemo.Evaluation; print(*({HEAVY - {'tqdm'}!r} & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout.split() == []
