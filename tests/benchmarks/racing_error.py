"""How often `--race` eliminates the configuration that would win the full grid, and what it saves.

    python tests/benchmarks/racing_error.py                              # simulated grids, 2 minutes on one core
    python tests/benchmarks/racing_error.py --sweep ray_results/NAME     # and grids resampled from a real sweep
    python tests/benchmarks/racing_error.py --page docs/benchmarks.md    # write the main rows into the page

Every grid is drawn in full, so its winner is known; then it is raced (race_rule.replay). A simulated value is the sum
of the configuration's mean, its preference for the process condition and image (the same for all labels), the training
variability of that fold run, and noise. Effects of images and folds on all configurations alike are drawn too; they
cancel in every difference. Prints a Markdown table: share of grids with a wrong winner, share in which the loss is
larger than the margin or than one standard error of the difference, and fold runs of the full grid / of the race.
"""

import argparse
import itertools
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from marked_page import replace_part

from sweeps.folds.race_rule import image_noise, replay
from sweeps.space.configuration import Configuration
from sweeps.store.trial_record import read_records

IMAGES, CONDITIONS = 208, 160
GOAL_ERROR, GOAL_SAVING = 0.05, 2.0
TITLES = ("configurations", "fold runs", "margin, dB", "wrong winner", "loss > margin", "loss > 1 SE", "speed-up")
Grid = tuple[np.ndarray, np.ndarray]
"""(k, N) means and (N, k, k) image noise: what replay() takes."""
Draw = Callable[[np.random.Generator], Grid]


@dataclass(frozen=True)
class World:
    """What grids are drawn from; all numbers in dB of PSNR."""

    name: str
    behind: tuple[float, ...]
    """How far each configuration is behind the best in truth."""
    labels: int = 4
    folds: int = 5
    luck: float = 0.07
    """Standard deviation of a training's luck; that of a difference is 1.4 times as much."""
    unstable: float = 0.0
    """The same for the best configuration, where it is another."""
    preference: float = 0.2
    """Standard deviation of a configuration's preference for an image; 80 % of the variance is the condition's."""

    def draw(self, rng: np.random.Generator) -> Grid:
        """One full grid."""
        k = len(self.behind)
        condition = np.concatenate([np.arange(CONDITIONS), rng.integers(CONDITIONS, size=IMAGES - CONDITIONS)])
        liking = np.sqrt(0.8) * rng.normal(size=(k, CONDITIONS))[:, condition]
        liking = self.preference * (liking + np.sqrt(0.2) * rng.normal(size=(k, IMAGES)))
        truth = liking + 2.0 * rng.normal(size=IMAGES) - np.array(self.behind)[:, None]
        luck = np.full(k, self.luck)
        luck[0] = self.unstable or self.luck
        tables = []
        for _ in range(self.labels):
            fold = rng.permutation(np.arange(CONDITIONS) % self.folds)[condition]
            tables += [truth[:, fold == f] + luck[:, None] * rng.normal(size=(k, 1)) for f in range(self.folds)]
        return grid([table + 0.5 * self.preference * rng.normal(size=table.shape) for table in tables])


def grid(tables: list[np.ndarray]) -> Grid:
    """From (k, n) values of the configurations on the images of each cell."""
    return np.stack([t.mean(axis=1) for t in tables], axis=1), np.stack([image_noise(t) for t in tables])


def real_tables(sweep: Path) -> list[list[np.ndarray]]:
    """Per label the (k, n) PSNR of each fold that every cross-validated configuration of the sweep completed."""
    found: dict[tuple[str, int], dict[Configuration, dict[str, float]]] = {}
    for record in read_records(sweep).values():
        if record.is_fold and record.is_complete and record.test_by_image:
            values = {image: each["psnr_db"] for image, each in record.test_by_image.items()}
            found.setdefault((record.label, record.cell.fold), {})[record.config] = values
    everyone = sorted(set().union(*found.values()))
    labels: dict[str, list[np.ndarray]] = {}
    for (label, _), cell in sorted(found.items()):
        if len(cell) == len(everyone):
            images = sorted(set.intersection(*(set(values) for values in cell.values())))
            labels.setdefault(label, []).append(np.array([[cell[c][i] for i in images] for c in everyone]))
    return list(labels.values())


def resampled(cells: list[np.ndarray], k: int, n_cells: int, shrink: float) -> Draw:
    """Grids of k configurations of a sweep: cells drawn with replacement, and images within a cell.

    Args:
        shrink: factor of the configurations' mean differences; 0 makes them tied in truth and keeps all noise.
    """
    means = np.mean([cell.mean(axis=1) for cell in cells], axis=0)
    moved = [cell - (1 - shrink) * (means - means.mean())[:, None] for cell in cells]

    def draw(rng: np.random.Generator) -> Grid:
        chosen = rng.choice(len(means), k, replace=False)
        tables = [moved[j][chosen] for j in rng.integers(len(moved), size=n_cells)]
        return grid([t[:, rng.integers(t.shape[1], size=t.shape[1])] for t in tables])

    return draw


def luck_share(cells: list[np.ndarray]) -> str:
    """How much more the differences to the best configuration vary over cells than their images explain."""
    means, noise = grid(cells)
    best = int(means.mean(axis=1).argmax())
    variance, explained = (means[best] - means).var(axis=1, ddof=1), noise[:, best].mean(axis=0)
    ratio = np.delete(variance, best) / np.delete(explained, best)
    return f"differences vary {ratio.min():.1f} to {ratio.max():.1f} times as much as their images explain (variances)"


def race(draw: Draw, runs: int, alpha: float, margin: float) -> dict[str, float]:
    """Rates over so many grids."""
    rng = np.random.default_rng(0)
    wrong = dear = far = cells = full = 0
    for _ in range(runs):
        means, noise = draw(rng)
        k, n = means.shape
        stopped = replay(means, noise, np.ones((k, n), bool), alpha, margin)
        total = means.mean(axis=1)
        best = int(total.argmax())
        kept = max((c for c in range(k) if c not in stopped), key=lambda c: total[c])
        differences = means[best] - means[kept]
        wrong += kept != best
        dear += kept != best and differences.mean() > max(margin, 1e-12)
        far += kept != best and differences.mean() > differences.std(ddof=1) / np.sqrt(n)
        cells += k * n - sum(n - stop[0] for stop in stopped.values())
        full += k * n
    return {"wrong": wrong / runs, "dear": dear / runs, "far": far / runs, "saving": full / cells}


def worlds() -> Iterator[World]:
    """From nothing to find to nothing to lose."""
    yield World("3, tied", (0, 0, 0))
    yield World("3, close", (0, 0.05, 0.1))
    yield World("3, apart", (0, 0.1, 0.3))
    yield World("3, far apart", (0, 0.3, 1))
    yield World("8, tied", (0,) * 8)
    yield World("8, close", (0, 0.05, 0.05, 0.1, 0.1, 0.1, 0.3, 0.3))
    yield World("8, apart", (0, 0.05, 0.1, 0.3, 0.3, 0.3, 1, 1))
    yield World("8, far apart", (0, 0.3, 0.3, 0.3, 1, 1, 1, 1))


def variants(world: World) -> Iterator[World]:
    """A world with more luck, with an unstable best configuration, and with one label only."""
    yield world
    yield replace(world, name=f"{world.name}; luck x3", luck=3 * world.luck)
    yield replace(world, name=f"{world.name}; best unstable", unstable=6 * world.luck)
    yield replace(world, name=f"{world.name}; 1 label", labels=1)


def row(name: str, n_cells: int, margin: float, rates: dict[str, float]) -> str:
    """One line of the full table; missed goals are bold."""
    limit = "dear" if margin else "wrong"
    percent = {key: f"{100 * rates[key]:.1f} %" for key in ("wrong", "dear", "far")}
    if rates[limit] > GOAL_ERROR:
        percent[limit] = f"**{percent[limit]}**"
    saving = f"{rates['saving']:.2f}" if rates["saving"] >= GOAL_SAVING else f"**{rates['saving']:.2f}**"
    cost = percent["dear"] if margin else ""
    return f"| {name} | {n_cells} | {margin:g} | {percent['wrong']} | {cost} | {percent['far']} | {saving} |"


def main_rows(rates: dict[tuple[str, int, float], dict[str, float]], runs: int) -> str:
    """The page's part: the worlds without variants, and the worst rates of all simulated worlds."""
    names = {world.name for world in worlds()}
    rows = [
        f"| {name} | {margin:g} | {100 * found['wrong']:.1f} % | {percent(found['dear']) if margin else ''}"
        f" | {found['saving']:.2f} |"
        for (name, _, margin), found in rates.items()
        if name in names
    ]
    simulated = {key: found for key, found in rates.items() if not key[0].startswith("real")}
    without, with_margin = (
        [found for (*_, m), found in simulated.items() if bool(m) == there] for there in (False, True)
    )
    worst = f"{runs} simulated grids per row: 4 labels x 5 folds = 20 fold runs per configuration."
    worst += f" Over all {len(without)} simulated cases (also with more training variability, an unstable best"
    worst += " configuration, one label only): with margin 0 the winner was eliminated in at most"
    worst += f" {percent(max(found['wrong'] for found in without))} of the grids"
    if with_margin:
        worst += "; with a margin, a configuration that wins by more than the margin was eliminated in at most"
        worst += f" {percent(max(found['dear'] for found in with_margin))}"
    titles = ("configurations", "margin, dB", "wrong winner", "loss > margin", "speed-up")
    return f"{table(titles, rows)}\n\n{worst}."


def percent(share: float) -> str:
    """`4.0 %`."""
    return f"{100 * share:.1f} %"


def table(titles: Sequence[str], rows: Sequence[str]) -> str:
    """Markdown."""
    return "\n".join([f"| {' | '.join(titles)} |", "|---" * len(titles) + "|", *rows])


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sweep", type=Path, help="also resample the cross-validated configurations of this sweep")
    parser.add_argument("--runs", type=int, default=400, help="grids per row (400)")
    parser.add_argument("--alpha", type=float, default=0.05, help="of the race (0.05)")
    parser.add_argument("--margins", type=float, nargs="+", default=[0.0, 0.1], help="of the race, dB (0 0.1)")
    parser.add_argument("--page", type=Path, help="write the main rows into this page, between its marks")
    options = parser.parse_args()
    started = time.perf_counter()
    draws: list[tuple[str, int, Draw]] = [
        (w.name, w.labels * w.folds, w.draw) for world in worlds() for w in variants(world)
    ]
    if options.sweep:
        labels = real_tables(options.sweep)
        cells = list(itertools.chain(*labels))
        print(
            f"{options.sweep.name}: {len(cells[0])} configurations, {len(cells)} complete fold runs;"
            f" {luck_share(cells)}\n"
        )
        draws.append((f"real, {len(cells[0])}, as it ran", len(cells), lambda _: grid(cells)))
        for k, shrink, n in itertools.product((3, len(cells[0])), (0.0, 0.2, 1.0), (20, 5)):
            draws.append((f"real, {k}, differences x {shrink:g}", n, resampled(cells, k, n, shrink)))
    print(table(TITLES, []), flush=True)
    rates: dict[tuple[str, int, float], dict[str, float]] = {}
    for (name, n_cells, draw), margin in itertools.product(draws, options.margins):
        found = rates[name, n_cells, margin] = race(draw, options.runs, options.alpha, margin)
        print(row(name, n_cells, margin, found), flush=True)
    print(f"\n{options.runs} grids per row, alpha {options.alpha:g}; {time.perf_counter() - started:.0f} s")
    if options.page:
        replace_part(options.page, "racing", main_rows(rates, options.runs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
