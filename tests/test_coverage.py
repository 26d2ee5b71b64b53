"""How often a 95 % interval holds the truth: a smaller run of benchmarks/coverage.py."""

import runpy

import pytest
from conftest import ROOT

pytestmark = pytest.mark.slow

PHOTOS, SETS = 60, 1200


@pytest.fixture(scope="module")
def benchmark():
    return runpy.run_path(str(ROOT / "benchmarks" / "coverage.py"))


@pytest.fixture(scope="module")
def coverage(benchmark):
    """Simulate in the usual world; return share of intervals that hold the truth."""
    found = benchmark["cover"](
        benchmark["World"](), PHOTOS, sets=SETS, draws=800, ways=("ours", "naive"), many=100_000
    )
    return found.share


@pytest.mark.parametrize("name", ["end_to_end_macro_f1", "detection_recall"])
def test_intervals_cover_and_those_over_faces_do_not(coverage, record_property, name):
    ours, naive = coverage("ours", name), coverage("naive", name)
    record_property(
        "figure",
        f"{name}: 95 % intervals of {SETS} sets of {PHOTOS} photos hold the truth"
        f" {100 * ours:.1f} % of the time; with faces drawn for photos {100 * naive:.1f} %",
    )
    # 1200 sets: chance moves a share of .95 by .006, one standard error
    assert 0.93 <= ours <= 0.97
    assert naive < ours - 0.03


@pytest.mark.parametrize("name", ["ECE", "adaptive ECE", "classwise ECE"])
def test_intervals_of_calibration_errors_are_of_as_many_photos(benchmark, record_property, name):
    found = benchmark["cover_calibration"](name, PHOTOS, sets=300, draws=400)
    record_property(
        "figure",
        f"{name}: {found.mean:.3f} on average on {PHOTOS} photos, {found.truth:.3f} on very"
        f" many; 95 % intervals hold the former {100 * found.held_mean:.0f} %, the latter"
        f" {100 * found.held_truth:.0f} % of the time",
    )
    assert found.mean > found.truth
    assert 0.9 <= found.held_mean <= 0.99
