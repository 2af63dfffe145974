"""deepdlt/figures/training.py: what is drawn is what was given."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from drawn_figures import drawn, pixels
from matplotlib.figure import Figure

from deepdlt import figures
from deepdlt.figures.style import COLOURS, FAINT

ROOT = Path(__file__).resolve().parents[2]


def series(level: float = 0.004, epochs: int = 6) -> dict[str, dict[int, float]]:
    losses = {epoch: level * (1 + 1 / epoch) for epoch in range(1, epochs + 1)}
    return {
        "train_loss": {epoch: 1.2 * loss for epoch, loss in losses.items()},
        "val_loss": losses,
        "val_psnr_db": {epoch: -10 * np.log10(loss) for epoch, loss in losses.items()},
        "val_ssim": {epoch: 1 - 30 * loss for epoch, loss in losses.items()},
    }


def a_class(label: str, name: str, psnr_db: float, half: float | None = 0.5) -> dict[str, object]:
    low, high = (None, None) if half is None else (psnr_db - half, psnr_db + half)
    return {"label": label, "class": name, "n_images": 4, "psnr_db": psnr_db, "low": low, "high": high}


@pytest.mark.parametrize(
    "figure",
    [
        figures.training_curves({"a": series(), "b": series(0.005)}, {"a": "best"}),
        figures.reconstruction_pairs([(np.eye(8), np.eye(8) / 2)]),
        figures.error_maps([(np.eye(8), np.eye(8) / 2)] * 5, ["A"]),
        figures.axis_effects([{"lr": 0.1, "val_psnr_db": 20.0}, {"lr": 0.2, "val_psnr_db": 21.0}], ["lr"]),
        figures.class_errors([a_class("NP", "10", 25.0), a_class("NP", "500", 21.0)], 24.0),
    ],
    ids=["training_curves", "reconstruction_pairs", "error_maps", "axis_effects", "class_errors"],
)
def test_every_figure_shows_something(figure: Figure) -> None:
    image = pixels(figure)
    assert image.std() > 5
    assert image[0].min() > 250  # nothing is cut at the edges
    assert image[:, 0].min() > 250


def test_training_curves_have_three_panels_with_the_values_of_every_trial() -> None:
    data = {"a": series(), "b": series(0.005), "c": series(0.006)}
    figure = figures.training_curves(data, {"b": "best"})
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "validation PSNR (dB)", "validation SSIM"]
    for axes, metric in zip(figure.axes, ("val_loss", "val_psnr_db", "val_ssim"), strict=True):
        for trial in data.values():
            assert (list(range(1, 7)), list(trial[metric].values())) in drawn(axes)
    dashed = [line for line in figure.axes[0].lines if line.get_linestyle() == "--" and len(line.get_xdata())]
    assert [list(line.get_ydata()) for line in dashed] == [list(data["b"]["train_loss"].values())]


def test_only_highlighted_trials_are_coloured() -> None:
    figure = figures.training_curves({"a": series(), "b": series(0.005)}, {"b": "best"})
    colours = [line.get_color() for line in figure.axes[1].lines]
    assert colours == [FAINT, COLOURS[0]]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["best", "training loss", "other trials"]


def test_one_epoch_is_seen_as_a_dot() -> None:
    figure = figures.training_curves({"a": series(epochs=1)}, {"a": "only"})
    assert {line.get_marker() for line in figure.axes[1].lines} == {"o"}


def test_a_diverged_trial_makes_the_loss_axis_logarithmic() -> None:
    calm, wild = ({"a": series(), "b": series(level)} for level in (0.005, 0.5))
    assert [figures.training_curves(data, {}).axes[0].get_yscale() for data in (calm, wild)] == ["linear", "log"]


def test_pairs_show_the_original_over_its_reconstruction_in_fixed_grey() -> None:
    pairs = [(np.full((8, 8), 0.2), np.full((8, 8), 0.3)), (np.eye(8), np.zeros((8, 8)))]
    figure = figures.reconstruction_pairs(pairs, ["A", "B"])
    shown = [axes for axes in figure.axes if axes.images]
    assert len(shown) == 4
    grid = np.array([axes.images[0].get_array() for axes in shown]).reshape(2, 2, 8, 8)
    for column, (original, reconstruction) in enumerate(pairs):
        np.testing.assert_array_equal(grid[0, column], original)
        np.testing.assert_array_equal(grid[1, column], reconstruction)
    assert {axes.images[0].get_clim() for axes in shown} == {(0, 1)}
    assert {axes.images[0].get_interpolation() for axes in shown} == {"nearest"}
    assert [axes.get_title() for axes in shown[:2]] == ["A", "B"]


def test_error_maps_show_too_bright_and_too_dark_on_one_symmetric_scale() -> None:
    pairs = [(np.full((8, 8), 0.2), np.full((8, 8), 0.3)), (np.eye(8), np.eye(8) / 2)]
    figure = figures.error_maps(pairs, ["A", "B"])
    shown = [axes for axes in figure.axes if axes.images]
    assert [axes.get_ylabel() for axes in shown[::2]] == ["original", "reconstruction", "error"]
    for axes, (original, reconstruction) in zip(shown[4:], pairs, strict=True):
        np.testing.assert_allclose(axes.images[0].get_array(), reconstruction - original)
        assert axes.images[0].get_clim() == (-0.5, 0.5)
        red, _, blue, _ = axes.images[0].cmap(1.0)
        assert red > blue
    assert {axes.images[0].get_clim() for axes in shown[:4]} == {(0, 1)}


def test_a_single_wrong_pixel_does_not_make_the_other_errors_pale() -> None:
    original, reconstruction = np.zeros((64, 64)), np.full((64, 64), 0.05)
    reconstruction[3, 3] = 1
    axes = [axes for axes in figures.error_maps([(original, reconstruction)]).axes if axes.images]
    assert axes[2].images[0].get_clim() == pytest.approx((-0.05, 0.05))
    assert axes[2].images[0].colorbar.extend == "both"


def test_a_perfect_reconstruction_has_no_errors_to_show() -> None:
    axes = [axes for axes in figures.error_maps([(np.eye(8), np.eye(8))]).axes if axes.images]
    assert axes[2].images[0].get_clim() == (-1 / 255, 1 / 255)


def test_axis_effects_draw_each_trial_and_the_median_of_values_with_three_complete_trials() -> None:
    values = ((1e-4, 20.0), (1e-4, 22.0), (1e-4, 27.0), (1e-3, 25.0))
    rows: list[dict[str, object]] = [{"lr": lr, "val_psnr_db": psnr} for lr, psnr in values]
    rows += [{"lr": 1e-3, "val_psnr_db": psnr, "pruned": True} for psnr in (10.0, 11.0)]
    axes = figures.axis_effects(rows, ["lr"]).axes[0]
    dots = sorted(y for line in axes.lines if line.get_marker() == "o" for y in line.get_ydata())
    medians = [line.get_ydata()[0] for line in axes.lines if line.get_marker() != "o"]
    assert dots == [10, 11, 20, 22, 25, 27]
    assert medians == [22]
    hollow = [line.get_ydata()[0] for line in axes.lines if line.get_markerfacecolor() == "none"]
    assert hollow == [10, 11]
    assert [text.get_text().split()[0] for text in axes.get_xticklabels()] == ["0.0001", "0.001"]


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        (np.geomspace(1e-4, 1e-3, 30).tolist(), "log"),
        (np.geomspace(1e-4, 5e-4, 30).tolist(), "linear"),
        (np.linspace(0.0, 1.0, 30).tolist(), "linear"),
        ([1e-4, 1e-3], "linear"),
        (["relu", "elu"], "linear"),
    ],
)
def test_only_many_positive_numbers_that_span_a_decade_get_a_logarithmic_axis(values: list[object], scale: str) -> None:
    rows = [{"x": value, "val_psnr_db": 20.0 + i} for i, value in enumerate(values)]
    assert figures.axis_effects(rows, ["x"]).axes[0].get_xscale() == scale


def test_axis_effects_leave_out_trials_without_the_setting_or_the_number() -> None:
    rows = [{"x": 1, "val_psnr_db": 20.0}, {"x": 2, "val_psnr_db": float("nan")}, {"x": None, "val_psnr_db": 3.0}, {}]
    axes = figures.axis_effects(rows, ["x"]).axes[0]
    assert [y for line in axes.lines if line.get_marker() == "o" for y in line.get_ydata()] == [20]
    assert pixels(figures.axis_effects([], ["x"])).std() > 0


def test_class_errors_show_mean_and_interval_and_colour_what_is_significantly_low() -> None:
    table = [a_class("NP", "10", 25.0), a_class("NP", "500", 21.0), a_class("PP1", "H", 24.0, None)]
    table[1]["significant"] = True
    first, second = figures.class_errors(table, 24.0).axes
    assert ([21.0], [1.0]) in drawn(first)
    assert ([20.5, 21.5], [1.0, 1.0]) in drawn(first)
    assert [line.get_color() for line in first.lines[:4]] == [*[COLOURS[0]] * 2, *[COLOURS[1]] * 2]
    assert [text.get_text() for text in first.get_yticklabels()] == ["10  (n = 4)", "500  (n = 4)"]
    assert drawn(second)[0] == ([24.0], [0.0])  # no interval for want of images
    assert [axes.get_title(loc="left") for axes in (first, second)] == ["NP", "PP1"]


def test_texts_are_shown_as_they_are_whatever_they_hold() -> None:
    figure = figures.class_errors([a_class("a$b$", r"$\frac{", 25.0), a_class("a$b$", "漢" * 100, 24.0)])
    assert pixels(figure).std() > 5


def test_the_same_figure_gives_the_same_file() -> None:
    made = [figures.png(figures.training_curves({"a": series()}, {"a": "best"})) for _ in range(2)]
    assert made[0] == made[1]


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: figures.reconstruction_pairs([]), "pairs"),
        (lambda: figures.error_maps([]), "pairs"),
        (lambda: figures.axis_effects([], []), "axes"),
        (lambda: figures.class_errors([]), "table"),
    ],
)
def test_nothing_to_draw_is_refused_by_name(call: object, name: str) -> None:
    with pytest.raises(ValueError, match=f"`{name}` must"):
        call()  # type: ignore[operator]


def test_figures_need_neither_training_code_nor_pyplot() -> None:
    code = (
        "import sys; import deepdlt.figures.training;"
        "print([m for m in ('torch', 'ray', 'tensorboard', 'matplotlib.pyplot') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
