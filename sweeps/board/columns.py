"""The HPARAMS and CUSTOM SCALARS tabs: one row per configuration, train and validation in one chart.

A configuration is a session group; its search trial and its fold runs are the sessions. Metrics of a row are means over
the sessions that have them, so search trials and fold runs log theirs under names of their own.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorboard.plugins.custom_scalar import layout_pb2

from deepdlt.config import VAES
from sweeps.space import Configuration, Space
from sweeps.store import (
    END,
    EVENT_FILES,
    HPARAMS_METRICS,
    PRUNED,
    SEARCH,
    VAE_METRICS,
    Cell,
    SweepFile,
    TrialLog,
    TrialRecord,
    remove,
    sha256,
)

BEST_PREFIX = "best_val_"
NOT_LOGGED = ("epoch", "finished", "best_epoch")
LAST = "last/"
LAST_TAGS = tuple(tag for tag in (*HPARAMS_METRICS, *VAE_METRICS) if tag.startswith(LAST))
FOLD_TAGS = tuple(tag for tag in HPARAMS_METRICS if tag.startswith("folds/"))
CURVES = {"loss": ("train_loss", "val_loss"), "PSNR (dB)": ("val_psnr_db",), "SSIM": ("val_ssim",)}
VAE_CURVES = {
    "bits per dimension": ("val_bits_per_dim",),
    "KL divergence (nats)": ("val_kl_nats",),
    "active units": ("val_active_units",),
}
BAND = "within_folds"
"""Prefix of the tags `within_folds/CURVE/mean`, `lowest` and `highest`; by its name the last of the charts."""
PAGE = "trial"
"""Tag of a trial's page of text."""


def code_of(configuration: Configuration) -> str:
    """Six characters that name a configuration, whatever its seed."""
    return sha256(configuration.unseeded.text)[:6]


def start_session(log: TrialLog, cell: Cell, sweep: str) -> None:
    """Announce a trial as a session of its configuration.

    Args:
        sweep: name of the sweep, a part of the group's: another sweep has other images, or another protocol.
    """
    place: dict[str, int | str] = {
        "kind": cell.kind,
        "label": cell.label,
        "fold": cell.fold,
        "n_folds": cell.n_folds,
        "seed": cell.config.seed,
    }
    log.session_start(f"{code_of(cell.config)} {sweep}", cell.config.unseeded, place)


def epoch_scalars(cell: Cell, metrics: Mapping[str, float]) -> dict[str, float]:
    """Tag -> value of an epoch: the curves, and for search trials the best and the last values."""
    plain = {n: v for n, v in metrics.items() if n not in NOT_LOGGED and not n.startswith(BEST_PREFIX)}
    if cell.kind != SEARCH:
        return plain
    best = {f"best/{name.removeprefix('best_')}": v for name, v in metrics.items() if name.startswith(BEST_PREFIX)}
    last = {tag: v for tag in LAST_TAGS if (v := plain.get(tag.removeprefix(LAST))) is not None}
    return plain | best | last


def scalars_of_test(cell: Cell, test: Mapping[str, float]) -> dict[str, float]:
    """Tag -> value of a test. The HPARAMS tab averages those of fold runs; it leaves out those of search trials."""
    plain = {f"test/{name}": value for name, value in test.items()}
    if cell.kind == SEARCH:
        return plain
    return plain | {tag: v for tag in FOLD_TAGS if (v := test.get(tag.removeprefix("folds/test_"))) is not None}


def end_session(folder: Path, record: TrialRecord) -> None:
    """Say how a trial ended; TensorBoard has no status for pruned trials, so these have a number of their own."""
    epoch = int(record.metrics.get("epoch") or 0)
    with TrialLog(folder, END) as log:
        if record.status == PRUNED:
            log.scalars({"pruned/epoch": epoch}, epoch)
        reason = "".join(f"\n\n    {line}" for line in record.error.splitlines())
        log.text(PAGE, f"**{record.status}** after epoch {epoch}{reason}", epoch)
        log.session_end(record.status)


def write_board(sweep: Path, sweep_file: SweepFile) -> None:
    """Declare columns and charts in the sweep's folder; of several declarations TensorBoard would take the first."""
    for stale in sweep.glob(EVENT_FILES):
        remove(stale)
    space = sweep_file.current_space
    has_vae = any(model in VAES for model in _models(space))
    with TrialLog(sweep) as log:
        swept = {name: list(axis.choices) or (axis.low, axis.high) for name, axis in space.axes.items()}
        log.hparams_experiment(swept, {}, HPARAMS_METRICS | (VAE_METRICS if has_vae else {}))
        log.layout(_layout(CURVES | (VAE_CURVES if has_vae else {})))


def _models(space: Space) -> list[Any]:
    axis, constants = space.axes.get("model"), space.constants or Configuration()
    return list(axis.choices) if axis else [constants.get("model")]


def _layout(curves: Mapping[str, tuple[str, ...]]) -> layout_pb2.Layout:
    lines = [
        layout_pb2.Chart(title=title, multiline=layout_pb2.MultilineChartContent(tag=[f"^{tag}$" for tag in tags]))
        for title, tags in curves.items()
    ]
    bands = [
        layout_pb2.Chart(
            title=f"{title}: {tag.partition('_')[0]}" if len(tags) > 1 else title,
            margin=layout_pb2.MarginChartContent(series=[_band(tag)]),
        )
        for title, tags in curves.items()
        for tag in tags
    ]
    about = "mean of the folds, lowest to highest"
    return layout_pb2.Layout(
        category=[
            layout_pb2.Category(title="training and validation", chart=lines),
            layout_pb2.Category(title=about, chart=bands, closed=False),
        ]
    )


def _band(tag: str) -> layout_pb2.MarginChartContent.Series:
    tags = (f"{BAND}/{tag}/{part}" for part in ("mean", "lowest", "highest"))
    value, lower, upper = tags
    return layout_pb2.MarginChartContent.Series(value=value, lower=lower, upper=upper)
