"""deepdlt/figures/latents.py: every point and pixel is drawn, legends fit their panel, nonsense is refused."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import LogNorm, to_hex
from matplotlib.figure import Figure
from PIL import Image

from deepdlt.figures.latents import latent_map, sample_grid, traversal_grid
from deepdlt.figures.style import COLOURS, GREY, png

POSITIONS = np.random.default_rng(0).normal(size=(60, 2)) * [3, 1]


def pixels(figure: Figure) -> np.ndarray:
    """The drawn figure, (height, width) in 0..255."""
    with Image.open(io.BytesIO(png(figure, dpi=50))) as image:
        return np.asarray(image.convert("L"))


def legend(axes) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()] if axes.get_legend() else []


def dots(axes) -> dict[tuple[float, float], str]:
    """Colour of every point."""
    return {
        tuple(place): to_hex(colour).upper()
        for drawn in axes.collections
        for place, colour in zip(drawn.get_offsets().data, drawn.get_facecolors(), strict=True)
    }


@pytest.mark.parametrize(
    "values",
    [
        ["V", "H", "D"] * 20,
        [f"a folder with a long name, the {i % 10}th of them" for i in range(60)],
        [f"class {i}" for i in range(60)],
        [5.5, 8.5, 19.0] * 20,
        np.arange(60),
        [*10.0 ** np.linspace(0, 3, 58), None, float("nan")],
        [None] * 60,
        [True, False] * 30,
        ["a$b$", "漢字"] * 30,
    ],
    ids=["words", "long", "too many", "few numbers", "numbers", "log", "missing", "bool", "odd"],
)
def test_a_map_of_any_label_shows_something_and_nothing_is_cut(values):
    image = pixels(latent_map(POSITIONS, {"a": values, "b": values}, captions={"a": "silhouette"}, note="words " * 60))
    assert image.std() > 5
    for edge in (image[0], image[-1], image[:, -1]):
        assert edge.min() > 250


def test_every_point_has_the_colour_of_its_class_and_the_legend_names_it():
    values = [("V", "H", "D")[i % 3] for i in range(60)]
    axes = latent_map(POSITIONS, {"PP1": values}).axes[0]
    assert legend(axes) == ["D", "H", "V"]
    colour = dict(zip(("D", "H", "V"), COLOURS, strict=False))
    assert dots(axes) == {tuple(p): colour[v] for p, v in zip(POSITIONS, values, strict=True)}


def test_more_than_five_classes_differ_in_shape_too():
    axes = latent_map(POSITIONS, {"x": [f"c{i % 10}" for i in range(60)]}).axes[0]
    handles = axes.get_legend().legend_handles
    assert len({(handle.get_color(), handle.get_marker()) for handle in handles}) == 10


def test_few_numbers_are_classes_in_the_order_of_their_colours_and_many_have_a_bar():
    few, many = (latent_map(POSITIONS, {"x": np.arange(60) % n}) for n in (3, 20))
    assert legend(few.axes[0]) == ["0", "1", "2"]
    brightness = [
        sum(int(h.get_color()[i : i + 2], 16) for i in (1, 3, 5)) for h in few.axes[0].get_legend().legend_handles
    ]
    assert brightness == sorted(brightness)
    assert len(few.axes) == 1
    assert legend(many.axes[0]) == []
    (drawn,) = many.axes[0].collections
    assert drawn.colorbar.ax in many.axes[0].child_axes
    assert sorted(drawn.get_array()) == sorted(np.arange(60) % 20)


@pytest.mark.parametrize(("low", "logarithmic"), [(1, True), (60, False), (0, False)])
def test_numbers_that_span_a_decade_have_logarithmic_colours(low, logarithmic):
    axes = latent_map(POSITIONS, {"x": np.arange(60) + low}).axes[0]
    assert isinstance(axes.collections[0].norm, LogNorm) == logarithmic


def test_of_too_many_classes_the_most_frequent_are_named_and_the_others_grey():
    values = ["often"] * 20 + ["rare"] * 2 + [f"c{i % 19:02}" for i in range(38)]
    axes = latent_map(POSITIONS, {"x": values}).axes[0]
    assert len(legend(axes)) == 10
    assert {"often", "others"} <= set(legend(axes))
    assert dots(axes)[tuple(POSITIONS[-1])] == GREY


@pytest.mark.parametrize("values", [["a"] * 59 + [None], [*range(59), None]], ids=["classes", "numbers"])
def test_a_point_without_a_value_is_grey(values):
    axes = latent_map(POSITIONS, {"x": values}).axes[0]
    assert legend(axes)[-1] == "no value"
    drawn = {tuple(p) for c in axes.collections for p in c.get_offsets().data}
    assert drawn == {tuple(p) for p in POSITIONS}


def test_labels_captions_and_note_are_where_they_belong():
    figure = latent_map(POSITIONS, {"NP": [1] * 60, "folder": ["f"] * 60}, {"folder": "silhouette 0.31"}, "PCA")
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["NP", "folder"]
    assert [axes.get_title(loc="right") for axes in figure.axes] == ["", "silhouette 0.31"]
    assert figure.get_supxlabel() == "PCA"


def test_samples_are_shown_row_by_row_in_fixed_grey():
    images = np.random.default_rng(0).random((5, 1, 8, 10))
    shown = sample_grid(images, columns=3).axes[0].images[0]
    mosaic = np.asarray(shown.get_array())
    assert mosaic.shape == (8 + 2 + 8, 3 * 10 + 2 * 2)
    np.testing.assert_array_equal(mosaic[:8, 12:22], images[1, 0])
    np.testing.assert_array_equal(mosaic[10:, :10], images[3, 0])
    assert (mosaic[10:, 24:] == 1).all()
    assert shown.get_clim() == (0, 1)


def test_a_traversal_has_a_row_per_number_and_a_column_per_value():
    images = np.random.default_rng(0).random((2, 3, 1, 8, 8))
    axes = traversal_grid(images, ["z4", "z7"], [-2, 0, 2]).axes[0]
    mosaic = np.asarray(axes.images[0].get_array())
    np.testing.assert_array_equal(mosaic[10:18, 20:28], images[1, 2, 0])
    assert [t.get_text() for t in axes.get_yticklabels()] == ["z4", "z7"]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["-2", "0", "+2"]
    centre = round(axes.get_xticks()[1]), round(axes.get_yticks()[1])
    assert centre == (14, 14)
    assert pixels(axes.figure)[0].min() > 250


def test_the_same_map_gives_the_same_file():
    made = [png(latent_map(POSITIONS, {"x": list("abc") * 20})) for _ in range(2)]
    assert made[0] == made[1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: latent_map(POSITIONS, {}), "`colours` must"),
        (lambda: latent_map(POSITIONS, {"x": [1]}), "60 values of each label, got 1 of 'x'"),
        (lambda: latent_map(POSITIONS.T, {"x": [1]}), "`positions` must"),
        (lambda: latent_map(POSITIONS * np.nan, {"x": [1] * 60}), "`positions` must"),
        (lambda: sample_grid(np.zeros((0, 1, 8, 8))), "`images` must"),
        (lambda: sample_grid(np.zeros((4, 8, 8))), "`images` must"),
        (lambda: traversal_grid(np.zeros((4, 1, 8, 8)), [], []), "`images` must"),
        (lambda: traversal_grid(np.zeros((1, 2, 1, 8, 8)), ["z0"], [0]), "must be 1 and 2, got 1, 1"),
    ],
)
def test_what_cannot_be_drawn_is_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_these_figures_need_neither_training_code_nor_pyplot():
    code = (
        "import sys; import deepdlt.figures.latents;"
        "print([m for m in ('torch', 'ray', 'sklearn', 'matplotlib.pyplot') if m in sys.modules])"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
