"""The synthetic micrographs show what their sheet says, and are made once, whole, and the same everywhere."""

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from benchmarks import synthetic_statistics
from calling import command
from PIL import Image

from deepdlt.synthetic import generator as synthetic
from deepdlt.synthetic import surface as surface_physics
from deepdlt.synthetic.design import condition_of, design
from deepdlt.synthetic.generator import make_synthetic
from deepdlt.synthetic.surface import Condition, surface

main = command("synthetic")

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
    image = surface(condition)
    window = np.outer(*(np.hanning(n) for n in image.shape))
    power = np.abs(np.fft.fft2((image - image.mean()) * window)) ** 2
    fy, fx = np.meshgrid(*(np.abs(np.fft.fftfreq(n, condition.pixel_um)) for n in power.shape), indexing="ij")
    ring = np.abs(np.hypot(fx, fy) * surface_physics.truth(condition).period_lipss_um - 1) < 0.25
    return power[ring], fx[ring], fy[ring]


def direction_power(condition: Condition) -> tuple[float, float]:
    """Power of the ripples with vertical and of those with horizontal ridges."""
    power, fx, fy = ripple_spectrum(condition)
    return float(power[fx > 2 * fy].sum()), float(power[fy > 2 * fx].sum())


def full_rows() -> dict[str, dict]:
    return {row["Names"][:-4]: row for row in design("full").to_dict("records")}


def read_images(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.png"))}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_synthetic(tmp_path_factory.mktemp("tiny"), "tiny")


@pytest.mark.parametrize("angle", [5.5, 8.5, 19.0])
def test_lines_repeat_at_wavelength_over_two_sine_theta(angle: float) -> None:
    # Ten pulses: near fifty the deepening floor is as bright as the ridges, and only their common edges repeat.
    image = surface(Condition(angle, "V", 10, 42, image_size=(96, 1280)))
    assert dlip_period(image, axis=1) == pytest.approx(1.026 / (2 * np.sin(np.radians(angle))), rel=0.03)


@pytest.mark.parametrize(("pattern", "along_y", "along_x"), [("V", False, True), ("H", True, False), ("D", True, True)])
def test_each_pattern_repeats_along_its_own_axes(pattern: str, along_y: bool, along_x: bool) -> None:
    condition = Condition(19, pattern, 50, 50, image_size=(400, 400))
    image = surface(condition)
    for axis, repeats in ((0, along_y), (1, along_x)):
        frequency, power = profile_power(image, axis)
        fringes = np.abs(frequency * surface_physics.truth(condition).period_dlip_um - 1) < 0.1
        coarse = (frequency > 1 / 8) & (frequency < 1 / 1.2)
        assert (power[fringes].sum() > 0.5 * power[coarse].sum()) == repeats


@pytest.mark.parametrize(("polarization", "direction"), [("H", 90.0), ("V", 0.0)])
def test_ripples_run_perpendicular_to_the_polarization(polarization: str, direction: float) -> None:
    condition = Condition(8.5, "D", 20, 61, polarization, (320, 320))
    assert surface_physics.truth(condition).ripple_angle_deg == direction
    vertical, horizontal = direction_power(condition)
    assert (vertical > 3 * horizontal) if polarization == "H" else (horizontal > 3 * vertical)


def test_crossed_pulses_grow_ripples_in_both_directions_and_equal_ones_do_not() -> None:
    # Dots of 5.5 deg, as their own rims lie far from the frequency of the ripples.
    crossed = Condition(5.5, "D", 20, 26, "H", (320, 320), flat_energy_uj=24, flat_polarization="V")
    parallel = Condition(5.5, "D", 20, 26, "H", (320, 320), flat_energy_uj=24, flat_polarization="H")
    assert crossed.crossed
    assert not parallel.crossed
    vertical, horizontal = direction_power(crossed)
    assert 0.25 < vertical / horizontal < 4
    vertical, horizontal = direction_power(parallel)
    assert vertical > 4 * horizontal


@pytest.mark.parametrize(("flat_first", "direction"), [(False, 90.0), (True, 0.0)])
def test_of_two_crossed_pulses_the_first_leads_the_ripples(flat_first: bool, direction: float) -> None:
    energies = {"energy_uj": 60, "flat_energy_uj": 45}
    known = surface_physics.truth(Condition(19, "V", 20, **energies, flat_polarization="V", flat_first=flat_first))
    assert known.ripple_angle_deg == direction
    assert 0.5 <= known.ripple_share < 1


def test_an_unpatterned_pulse_leaves_no_virgin_steel_between_the_fringes() -> None:
    pattern_alone, both = (
        np.quantile(surface_physics._fluence_ratio(c, surface_physics.truth(c), np.random.default_rng(0))[0], 0.1)
        for c in (Condition(19, "V", 20, 20), Condition(19, "V", 20, 20, flat_energy_uj=28))
    )
    assert pattern_alone < 0.2
    assert both > 1


def test_a_second_pulse_acts_in_part_and_less_after_a_longer_delay() -> None:
    row = full_rows()["Paper Data/Double pulses/1-1"]
    assert (row["EP1 [μJ]"], row["EP2 [μJ]"], row["Δτ [ps]"]) == (25, 25, 500)
    assert condition_of(row, (32, 32)).energy_uj == pytest.approx(25 * 1.8)
    assert condition_of(row | {"Δτ [ps]": 1000}, (32, 32)).energy_uj == pytest.approx(25 * 1.64)


def test_the_sheet_says_which_of_two_crossed_pulses_carries_the_pattern() -> None:
    rows = [row for name, row in full_rows().items() if "Crossed" in name]
    assert len(rows) == 26
    for row in rows:
        condition = condition_of(row, (32, 32))
        second = row["PP1"] == 0
        assert condition.pattern == row["true_pattern"] == (row["PP2"] if second else row["PP1"])
        assert (condition.crossed, condition.flat_first) == (True, second)
        assert (row["Pol 1"], row["Pol 2"]) == (("V", "H") if second else ("H", "V"))
        own, other = (2, 1) if second else (1, 2)
        share = {1: 1.0, 2: 0.8}
        assert condition.energy_uj == pytest.approx(row[f"EP{own} [μJ]"] * share[own])
        assert condition.flat_energy_uj == pytest.approx(row[f"EP{other} [μJ]"] * share[other])


def test_a_detail_shows_its_parents_condition_with_finer_pixels() -> None:
    rows = full_rows()
    folder = "Paper Data/Repetition 6p & 2p 29-4-2020"
    details = {name: row for name, row in rows.items() if "/Details/" in name}
    assert len(details) == 11
    for name, row in details.items():
        sample, shot, _ = name.rsplit("/", 1)[1]
        parent = rows[f"{folder}/{sample}-{shot}"]
        changed = {key for key in row if row[key] != parent[key]}
        assert changed == {"Names", "DimX [μm]", "DimY [μm]"}
        assert condition_of(row, (960, 1280)).pixel_um == pytest.approx(0.009375)
    overview = rows[f"{folder}/8-2d"]
    assert (overview["DimX [μm]"], condition_of(overview, (960, 1280)).pixel_um) == (60, pytest.approx(0.046875))


@pytest.mark.parametrize("pixel_um", [0.02, 0.05])
def test_the_surface_is_the_same_in_micrometres_at_any_magnification(pixel_um: float) -> None:
    condition = Condition(5.5, "H", 20, 50, image_size=(400, 800), pixel_um=pixel_um)
    power, fx, fy = ripple_spectrum(condition)
    centre = np.average(np.hypot(fx, fy), weights=power)
    assert 1 / centre == pytest.approx(surface_physics.truth(condition).period_lipss_um, rel=0.1)
    assert power[fx > 2 * fy].sum() > 3 * power[fy > 2 * fx].sum()


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
    [
        ("angle_deg", 0),
        ("pattern", "X"),
        ("n_pulses", 0),
        ("energy_uj", -1),
        ("polarization", "D"),
        ("pixel_um", 0),
        ("image_size", (32, 9000)),
        ("flat_energy_uj", -1),
        ("flat_polarization", "D"),
    ],
)
def test_a_condition_out_of_range_is_refused_by_name_and_value(field: str, value: object) -> None:
    good = {"angle_deg": 19, "pattern": "V", "n_pulses": 10, "energy_uj": 42}
    with pytest.raises(ValueError, match=f"`{field}` must be .*, got {re.escape(repr(value))}"):
        Condition(**(good | {field: value}))


def test_odd_image_sizes_and_other_pixel_pitches_are_kept() -> None:
    assert surface(Condition(19, "D", 50, 42, image_size=(97, 131), pixel_um=0.05)).shape == (97, 131)


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


def test_the_full_design_has_the_folders_counts_and_levels_of_the_real_one() -> None:
    sheet = design("full")
    folders = sheet["Names"].str.rsplit("/", n=1).str[0].value_counts()
    assert folders.to_dict() == {
        "2020-4-30 tuning ripple period": 36, "2020-6-9 Crossed polarized": 26, "Paper Data/Double pulses": 39,
        "Paper Data/Repetition 6p & 2p 29-4-2020": 37, "Paper Data/Repetition 6p & 2p 29-4-2020/Details": 11,
        "Paper Data/Single pulses 2p": 28, "Paper Data/Single pulses 4 and half 6": 31,
    }  # fmt: skip
    assert sheet["angle [deg]"].value_counts().to_dict() == {19: 105, 5.5: 44, 8.5: 35, 11.6: 12, 6.8: 12}
    assert sheet["true_pattern"].value_counts().to_dict() == {"V": 105, "D": 52, "H": 51}
    assert sheet["DimX [μm]"].value_counts().to_dict() == {40: 196, 12: 11, 60: 1}
    assert sheet["Δτ [ps]"].value_counts().to_dict() == {0: 107, 500: 101}
    assert sheet["Pol 1"].value_counts().to_dict() == {"H": 197, "V": 11}
    n_pulses = sheet["NP"].value_counts()
    assert all(abs(n_pulses[level] - n) <= 1 for level, n in {10: 64, 20: 22, 50: 69, 100: 41, 500: 12}.items())


def test_label_noise_repeats_the_44_wrong_angles_of_the_real_sheet() -> None:
    right, noisy = design("full"), design("full", label_noise=True)
    wrong = noisy["angle [deg]"] != right["angle [deg]"]
    assert wrong.sum() == 44
    assert noisy["angle [deg]"].value_counts().to_dict() == {19: 149, 5.5: 36, 8.5: 23}
    folder = noisy["Names"].str.rsplit("/", n=1).str[0]
    assert wrong[folder == "2020-4-30 tuning ripple period"].all()
    sample = noisy["Names"].str.rsplit("-", n=1).str[0]
    assert (wrong.groupby(sample).nunique() == 1).all()  # never one image of a sample alone
    assert (noisy["true_angle_deg"] == right["angle [deg]"]).all()
    pd.testing.assert_frame_equal(noisy[right.columns].drop(columns="angle [deg]"), right.drop(columns="angle [deg]"))


def test_label_noise_changes_the_sheet_but_no_picture(tiny: Path) -> None:
    noisy = make_synthetic(tiny.parent, "tiny", label_noise=True)
    assert noisy != tiny
    assert read_images(noisy) == read_images(tiny)
    sheet = pd.read_excel(noisy / "all_images.xlsx")
    assert (sheet["angle [deg]"] != sheet["true_angle_deg"]).sum() == round(12 * 44 / 208)
    assert np.allclose(sheet["true_period_dlip_um"], 1.026 / (2 * np.sin(np.radians(sheet["true_angle_deg"]))))


def test_another_image_size_keeps_the_pixel_pitch_and_has_its_own_folder(tiny: Path) -> None:
    smaller = make_synthetic(tiny.parent, "tiny", image_size=(64, 96))
    assert smaller != tiny
    with Image.open(next(smaller.rglob("*.png"))) as image:
        assert image.size == (96, 64)
    assert (pd.read_excel(smaller / "all_images.xlsx")["DimX [μm]"] == 96 * 0.03125).all()


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


def test_the_command_line_prints_the_folder_on_stdout_only(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--preset", "tiny", "--out", str(tiny.parent)]) == 0
    assert capsys.readouterr().out == f"{tiny}\n"


@pytest.mark.parametrize(
    ("option", "value", "rule"),
    [
        ("--size", "960", "must be HEIGHTxWIDTH, each 32 to 8192 pixels, got '960'"),
        ("--size", "16x640", "must be HEIGHTxWIDTH, each 32 to 8192 pixels, got '16x640'"),
        ("--size", "64x99999", "must be HEIGHTxWIDTH"),
        ("--seed", "-1", "must be a whole number of at least 0, got '-1'"),
        ("--seed", "one", "must be a whole number of at least 0, got 'one'"),
        ("--preset", "huge", "must be one of tiny, small, full; got 'huge'"),
    ],
)
def test_the_command_line_refuses_a_bad_value_with_the_rule(
    option: str, value: str, rule: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--out", str(tmp_path / "new"), f"{option}={value}"])
    assert stopped.value.code == 2
    assert rule in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_the_command_line_says_in_one_line_that_it_cannot_write(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    assert main(["--preset", "tiny", "--out", str(tmp_path / "file")]) == 3
    assert "error: cannot write" in capsys.readouterr().err


def test_white_noise_has_its_own_sigma_no_correlation_and_a_flat_spectrum_at_any_size() -> None:
    for shape in ((480, 640), (700, 500)):
        pixels = np.random.default_rng(1).normal(128, 12, shape).round().astype(np.uint8)
        found = synthetic_statistics.image_statistics(pixels)
        assert found["SD"] == pytest.approx(12 / 255, rel=0.02)
        assert found["noise"] == pytest.approx(12 / 255, rel=0.02)
        assert abs(found["lag-1 correlation"]) < 0.02
        power = [found[band] for band in synthetic_statistics.BANDS[4:]]  # the first four hold few, scattered values
        assert power == pytest.approx([np.log10((12 / 255) ** 2)] * 5, abs=0.1)


def test_a_statistic_outside_its_limit_is_named_with_both_values() -> None:
    real = pd.DataFrame([dict.fromkeys(synthetic_statistics.SCALARS + synthetic_statistics.BANDS, 0.5)])
    assert synthetic_statistics.outside_limits(real, real) == []
    band = synthetic_statistics.BANDS[4]
    made = real.assign(**{"mean": 0.56, "SD": 0.54, band: 1.01})
    assert synthetic_statistics.outside_limits(real, made) == [
        "mean: real 0.500, synthetic 0.560", f"{band}: real 0.500, synthetic 1.010",
    ]  # fmt: skip


def test_small_synthetic_images_look_like_the_real_ones_in_numbers(real_images: Path, tmp_path: Path) -> None:
    sheet = synthetic_statistics.comparable(synthetic_statistics.read_sheet(real_images), real_images)
    real = synthetic_statistics.measure(real_images, synthetic_statistics.choose(sheet, 30))
    small = make_synthetic(tmp_path, "small")
    made = synthetic_statistics.measure(small, synthetic_statistics.read_sheet(small))
    assert synthetic_statistics.outside_limits(real, made) == []  # mean, sd: 10 %; power: 0.5 in log10 in every band
