"""deepdlt/figures/sweep.py: what is drawn is what was given."""

import numpy as np
import pytest
from drawn_figures import drawn, pixels

from deepdlt import figures
from deepdlt.figures.style import COLOURS

BEST = {"title": "lr 0.001", "difference": None, "difference_low": None, "difference_high": None, "tied": True}
BEST |= {"over_folds": None, "over_folds_low": None, "over_folds_high": None}
TIED = {"title": "a $ b", "difference": -0.02, "difference_low": -0.05, "difference_high": 0.01, "tied": True}
TIED |= {"over_folds": -0.03, "over_folds_low": -0.2, "over_folds_high": 0.14}
BEHIND = {**TIED, "title": "lr 0.1 " * 20, "difference": -0.5, "tied": False}
POINTS = [
    {"trial": "s0001-abc", "cost": 400_000, "psnr_db": 25.0, "front": True},
    {"trial": "s0002-abc", "cost": 20_000, "psnr_db": 24.0, "front": True},
    {"trial": "s0003-abc", "cost": 300_000, "psnr_db": 23.0, "front": False},
]


@pytest.mark.parametrize(
    "figure",
    [
        figures.standings([BEST, TIED, BEHIND]),
        figures.standings([BEST]),
        figures.pareto(POINTS, "parameters"),
        figures.pareto(POINTS[:1], "seconds per epoch"),
    ],
)
def test_every_figure_shows_something_and_nothing_is_cut(figure):
    image = pixels(figure)
    assert image.std() > 5
    assert image[0].min() > 250
    assert image[:, 0].min() > 250
    assert image[:, -1].min() > 250


def test_standings_show_both_intervals_of_every_configuration_in_its_colour():
    axes = figures.standings([BEST, TIED, BEHIND]).axes[0]
    ends = [x for x, _ in drawn(axes) if len(x) == 2]
    assert [-0.05, 0.01] in ends
    assert [-0.2, 0.14] in ends
    dots = {
        line.get_xdata()[0]: line.get_color()
        for line in axes.lines
        if line.get_markersize() == 7 and len(line.get_xdata())
    }
    assert dots == {0.0: COLOURS[0], -0.02: COLOURS[0], -0.5: COLOURS[1]}
    names = [text.get_text() for text in axes.get_yticklabels()]
    assert names[0] == "1. lr 0.001"
    assert names[1] == r"2. a \$ b"
    assert len(names[2]) < 70


def test_the_front_is_a_line_from_the_cheapest_to_the_best():
    figure = figures.pareto(POINTS, "parameters")
    (axes,) = figure.axes
    line = next(line for line in axes.lines if line.get_drawstyle() == "steps-post")
    assert (list(line.get_xdata()), list(line.get_ydata())) == ([20_000, 400_000], [24.0, 25.0])
    assert axes.get_xscale() == "log"
    assert sorted(text.get_text() for text in axes.texts) == ["s0001", "s0002"]
    assert ([300_000], [23.0]) in [(list(map(float, x)), y) for x, y in drawn(axes)]


def test_costs_of_one_magnitude_have_a_linear_axis():
    points = [{**point, "cost": cost} for point, cost in zip(POINTS, (2.0, 1.0, 3.0), strict=True)]
    (axes,) = figures.pareto(points, "seconds per epoch").axes
    assert axes.get_xscale() == "linear"
    assert axes.get_xlabel() == "seconds per epoch"


@pytest.mark.parametrize("draw", [figures.standings, lambda rows: figures.pareto(rows, "x")])
def test_nothing_to_compare_is_refused(draw):
    with pytest.raises(ValueError, match="must hold at least one"):
        draw([])


def test_the_same_figure_gives_the_same_bytes():
    one, other = (figures.png(figures.pareto(POINTS, "parameters")) for _ in range(2))
    assert np.array_equal(np.frombuffer(one, np.uint8), np.frombuffer(other, np.uint8))
