"""The synthetic micrographs show what their sheet says, and are made once, whole, and the same everywhere."""

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from deepdlt import surface_physics, synthetic
from deepdlt.surface_physics import Condition, surface
from deepdlt.synthetic import design, make_synthetic

REAL_COLUMNS = [
    "Names", "DimY [μm]", "DimX [μm]", "wavelength [nm]", "Spot size [μm]", "angle [deg]", "PP1", "PP2", "Δτ [ps]",
    "NP", "EP1 [μJ]", "EP2 [μJ]", "Pol 1", "Pol 2",
]  # fmt: skip
LABELS = ["angle [deg]", "PP1", "NP", "EP1 [μJ]"]


def profile_power(image: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies in 1/um and power of the mean profile along `axis` (0 = y, 1 = x)."""
    profile = image.mean(axis=1 - axis)
    profile = (profile - profile.mean()) * np.hanning(len(profile))
    return np.fft.rfftfreq(1 << 15, surface_physics.PIXEL), np.abs(np.fft.rfft(profile, 1 << 15)) ** 2


def dlip_period(image: np.ndarray, axis: int) -> float:
    """Period in um of the comb of harmonics that explains the profile best; bright rims alone would halve it."""
    frequency, power = profile_power(image, axis)
    periods = np.arange(1.3, 7.0, 0.01)
    weights = {1: 1, 2: 0.7, 3: 0.5, 0.5: -0.6, 1.5: -0.6}
    score = sum(weight * np.interp(order / periods, frequency, power) for order, weight in weights.items())
    return float(periods[np.argmax(score)])


def ripple_spectrum(condition: Condition) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Power of the image in an annulus around the ripples' frequency, and the |fx|, |fy| of its cells in 1/um."""
    result = surface(condition)
    window = np.outer(*(np.hanning(n) for n in result.image.shape))
    power = np.abs(np.fft.fft2((result.image - result.image.mean()) * window)) ** 2
    fy, fx = np.meshgrid(*(np.abs(np.fft.fftfreq(n, condition.pixel_um)) for n in power.shape), indexing="ij")
    ring = np.abs(np.hypot(fx, fy) * result.truth.period_lipss_um - 1) < 0.25
    return power[ring], fx[ring], fy[ring]


def read_images(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.png"))}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_synthetic(tmp_path_factory.mktemp("tiny"), "tiny")


@pytest.mark.parametrize("angle", [5.5, 8.5, 19.0])
def test_lines_repeat_at_wavelength_over_two_sine_theta(angle: float) -> None:
    # Ten pulses: near fifty the deepening floor is as bright as the ridges, and only their common edges repeat.
    image = surface(Condition(angle, "V", 10, 42, image_size=(96, 1280))).image
    assert dlip_period(image, axis=1) == pytest.approx(1.026 / (2 * np.sin(np.radians(angle))), rel=0.03)


@pytest.mark.parametrize(("pattern", "along_y", "along_x"), [("V", False, True), ("H", True, False), ("D", True, True)])
def test_each_pattern_repeats_along_its_own_axes(pattern: str, along_y: bool, along_x: bool) -> None:
    result = surface(Condition(19, pattern, 50, 50, image_size=(400, 400)))
    for axis, repeats in ((0, along_y), (1, along_x)):
        frequency, power = profile_power(result.image, axis)
        fringes = np.abs(frequency * result.truth.period_dlip_um - 1) < 0.1
        coarse = (frequency > 1 / 8) & (frequency < 1 / 1.2)
        assert (power[fringes].sum() > 0.5 * power[coarse].sum()) == repeats


@pytest.mark.parametrize(("polarization", "direction"), [("H", 90.0), ("V", 0.0)])
def test_ripples_run_perpendicular_to_the_polarization(polarization: str, direction: float) -> None:
    condition = Condition(8.5, "D", 20, 61, polarization, (320, 320))
    assert surface_physics.truth(condition).ripple_angle_deg == direction
    power, fx, fy = ripple_spectrum(condition)
    along_x, along_y = power[fx > 2 * fy].sum(), power[fy > 2 * fx].sum()
    assert (along_x > 3 * along_y) if polarization == "H" else (along_y > 3 * along_x)


def test_ripples_have_the_period_the_sheet_tells() -> None:
    condition = Condition(5.5, "H", 20, 50, image_size=(320, 640))
    power, fx, fy = ripple_spectrum(condition)
    centre = np.average(np.hypot(fx, fy), weights=power)
    assert 1 / centre == pytest.approx(surface_physics.truth(condition).period_lipss_um, rel=0.1)


def test_more_pulses_and_more_energy_raise_the_fluence_over_the_threshold() -> None:
    base = surface_physics.truth(Condition(19, "V", 10, 30))
    assert surface_physics.truth(Condition(19, "V", 100, 30)).fluence_ratio > base.fluence_ratio
    assert surface_physics.truth(Condition(19, "V", 10, 60)).fluence_ratio == pytest.approx(2 * base.fluence_ratio)


def test_more_pulses_dig_darker_trenches_and_leave_more_debris() -> None:
    few, many = (Condition(8.5, "H", n, 42, image_size=(256, 256), seed=3) for n in (10, 500))
    ratio = np.ones((256, 256), np.float32)
    ratio[:, 128:] = 3
    debris = [surface_physics._debris(ratio, c, np.random.default_rng(0))[:, :100] for c in (few, many)]
    relief = [
        surface_physics._relief(ratio, 0 * ratio, 0 * ratio, c, np.random.default_rng(0))[:, 160:] for c in (few, many)
    ]
    assert (debris[1] > 0).mean() > 1.2 * (debris[0] > 0).mean()
    assert relief[1].mean() < 3 * relief[0].mean() < 0


@pytest.mark.parametrize(
    ("field", "value"),
    [("angle_deg", 0), ("pattern", "X"), ("n_pulses", 0), ("energy_uj", -1), ("polarization", "D"), ("pixel_um", 0)],
)
def test_a_condition_out_of_range_is_refused_by_name_and_value(field: str, value: object) -> None:
    good = {"angle_deg": 19, "pattern": "V", "n_pulses": 10, "energy_uj": 42}
    with pytest.raises(ValueError, match=f"`{field}` must be .*, got {re.escape(repr(value))}"):
        Condition(**(good | {field: value}))


def test_odd_image_sizes_and_other_pixel_pitches_are_kept() -> None:
    assert surface(Condition(19, "D", 50, 42, image_size=(97, 131), pixel_um=0.05)).image.shape == (97, 131)


def test_images_are_8_bit_grey_files_with_the_brightness_and_contrast_of_real_ones(tiny: Path) -> None:
    images = [Image.open(path) for path in tiny.rglob("*.png")]
    assert {(image.mode, image.size) for image in images} == {("L", (200, 160))}
    grey = np.stack([np.asarray(image) / 255 for image in images])
    assert grey.mean() == pytest.approx(0.36, rel=0.1)
    assert grey.std(axis=(1, 2)).mean() == pytest.approx(0.165, rel=0.12)


def test_most_small_crops_show_structure_well_above_the_noise(tiny: Path) -> None:
    crops = [np.asarray(Image.open(path))[y : y + 64, x : x + 64] / 255
             for path in tiny.rglob("*.png") for y in (0, 64) for x in (0, 64, 128)]  # fmt: skip
    assert np.mean([crop.std() > 3 * 0.02 for crop in crops]) > 0.8


@pytest.mark.parametrize("preset", list(synthetic.PRESETS))
def test_the_sheet_has_the_real_columns_then_the_truth(preset: str) -> None:
    sheet = design(preset)
    assert list(sheet.columns[:14]) == REAL_COLUMNS
    assert [c for c in sheet.columns[14:] if not c.startswith("true_")] == []
    assert sheet.Names.is_unique
    assert sheet.notna().all(axis=None)
    single = sheet[sheet["Δτ [ps]"] == 0]
    assert (single[["PP2", "EP2 [μJ]", "Pol 2"]] == 0).all(axis=None)
    assert len(sheet) == {"tiny": 12, "small": 30, "full": 208}[preset]


@pytest.mark.parametrize(("preset", "least"), [("small", 6), ("tiny", 4)])
def test_every_class_is_large_enough_for_stratified_folds(preset: str, least: int) -> None:
    sheet = design(preset)
    for label in LABELS[:3]:
        assert sheet[label].value_counts().min() >= least
    assert pd.qcut(sheet["EP1 [μJ]"], q=5, duplicates="drop").value_counts().min() >= least
    assert not sheet[LABELS].duplicated().any()


def test_no_label_of_the_small_design_tells_another() -> None:
    sheet = design("small")
    codes = sheet[LABELS].apply(lambda column: pd.factorize(column, sort=True)[0])
    assert np.abs(np.corrcoef(codes.to_numpy().T) - np.eye(4)).max() < 0.3


def test_the_written_sheet_is_the_design_and_names_every_file(tiny: Path) -> None:
    sheet = pd.read_excel(tiny / "all_images.xlsx")
    pd.testing.assert_frame_equal(sheet, design("tiny"), check_dtype=False)
    assert {name[:-4] + ".png" for name in sheet.Names} == set(read_images(tiny))


def test_the_same_seed_gives_the_same_bytes_with_any_number_of_workers(tiny: Path, tmp_path: Path) -> None:
    synthetic._write_images(tmp_path, design("tiny"), (160, 200), seed=0, workers=1)
    assert read_images(tmp_path) == read_images(tiny)


def test_another_seed_gives_another_folder_and_other_images(tiny: Path, tmp_path: Path) -> None:
    other = make_synthetic(tmp_path, "tiny", seed=1)
    assert other.name != tiny.name
    assert not set(read_images(other).values()) & set(read_images(tiny).values())


def test_a_second_call_returns_the_folder_without_writing(tiny: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in [tiny, *tiny.rglob("*")]}
    assert make_synthetic(tiny.parent, "tiny") == tiny
    assert {path: path.stat().st_mtime_ns for path in [tiny, *tiny.rglob("*")]} == before


def test_progress_counts_every_image_and_an_interrupt_leaves_nothing(tmp_path: Path) -> None:
    seen = []

    def stop_at_three(done: int, total: int) -> None:
        seen.append((done, total))
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_synthetic(tmp_path, "tiny", progress=stop_at_three)
    assert seen == [(1, 12), (2, 12), (3, 12)]
    assert list(tmp_path.iterdir()) == []


def test_a_killed_half_made_folder_is_not_taken_for_finished(tmp_path: Path) -> None:
    killed = (
        "import os, sys; from pathlib import Path; from deepdlt.synthetic import make_synthetic;"
        "make_synthetic(Path(sys.argv[1]), 'tiny', progress=lambda done, total: os._exit(9) if done == 3 else None)"
    )
    assert subprocess.run([sys.executable, "-c", killed, str(tmp_path)], check=False).returncode == 9
    assert len(list(tmp_path.iterdir())) == 1  # what the killed process left
    assert len(read_images(make_synthetic(tmp_path, "tiny"))) == 12


def test_two_makers_at_once_agree_on_one_whole_folder(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        folders = list(pool.map(lambda _: make_synthetic(tmp_path, "tiny"), range(2)))
    assert folders[0] == folders[1]
    assert list(tmp_path.iterdir()) == [folders[0]]
    assert len(read_images(folders[0])) == 12


def test_an_unknown_preset_or_a_negative_seed_is_refused_with_the_rule(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="`preset` must be one of tiny, small, full, got 'huge'"):
        make_synthetic(tmp_path / "new", "huge")
    with pytest.raises(ValueError, match="`seed` must be at least 0, got -1"):
        make_synthetic(tmp_path / "new", "tiny", seed=-1)
    assert not (tmp_path / "new").exists()


def test_the_command_line_prints_the_folder_on_stdout_only(tiny: Path, capsys: pytest.CaptureFixture[str],
                                                           monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setattr(sys, "argv", ["synthetic", "--preset", "tiny", "--out", str(tiny.parent)])
    synthetic.main()
    assert capsys.readouterr().out == f"{tiny}\n"
