"""Continue a training with the weights of another one and other hyperparameters (population based training)."""

import shutil
from pathlib import Path
from typing import Any

from deepdlt.atomic import write_atomic
from deepdlt.config import CHANGEABLE, OWN, VAES, ConfigError, TrainConfig, config_dict
from deepdlt.models import BEST, LAST, PREVIOUS, build_model, load_checkpoint, load_last, save_checkpoint
from deepdlt.training.optimization import make_optimizer

_OBJECTIVE = (
    "loss",
    "ms_ssim_weight",
    "focal_frequency_weight",
    "spectrum_weight",
    "beta",
    "decoder_sigma",
    "input_range",
    "vae_likelihood",
    "vae_reduction",
)
_UNFINISHED, _STAGED = ".transplanting", ".transplant"


def transplant(source: Path, target: Path, config: TrainConfig) -> int:
    """Replace the training in `target` by the one in `source`, to continue with other hyperparameters.

    Weights, optimizer moments and epoch are the source's. Learning rate, decay and momentum are those of `config`; call
    fit() with it next. The best epoch and best.pt are the better ones of the two trainings if their validation losses
    are comparable, else the source's. A crash at any moment leaves the old or the new training: call
    `complete_transplant` before the target's checkpoints are used.

    Args:
        source: directory with last.pt and best.pt; only read.
        target: directory whose training, if any, is replaced.
        config: may differ from the source's only in CHANGEABLE and OWN fields.

    Returns:
        The source's epoch, now also the target's.

    Raises:
        ConfigError: another field differs, lr follows a schedule, or the two trained on different crops.
        DamagedCheckpoint, FileNotFoundError: the source's checkpoint cannot be read.
    """
    complete_transplant(target)
    state = load_checkpoint(source / LAST)
    theirs, before = state.pop("config"), load_last(target)
    _check_compatible(config, theirs, state, before, source)
    _set_hyperparameters(config, state["optimizer_state_dict"])
    kept = before is not None and _is_better(before, theirs, state["best"]) and (target / BEST).exists()
    if before is not None and kept:
        state["best"] = before["best"]
        state["metrics"] |= before["best"]
    unfinished = target / _UNFINISHED
    unfinished.mkdir(parents=True)
    save_checkpoint(unfinished / LAST, config, state)
    if not kept:
        write_atomic(unfinished / BEST, (source / BEST).read_bytes())
    unfinished.rename(target / _STAGED)  # from here on a crash completes it
    complete_transplant(target)
    return state["epoch"]


def complete_transplant(directory: Path) -> None:
    """Finish or remove an incomplete `transplant` after a crash; without one, do nothing."""
    if (directory / _UNFINISHED).exists():
        shutil.rmtree(directory / _UNFINISHED)  # the old training remains valid
    staged = directory / _STAGED
    if not staged.is_dir():
        return
    for name in (BEST, LAST):
        if (staged / name).exists():
            (staged / name).replace(directory / name)
    (directory / PREVIOUS).unlink(missing_ok=True)  # of the replaced training
    staged.rmdir()


def _check_compatible(
    config: TrainConfig, theirs: dict[str, Any], state: dict[str, Any], before: dict[str, Any] | None, source: Path
) -> None:
    asked, theirs = config_dict(config), config_dict(TrainConfig()) | theirs  # of before a field was added
    fixed = [name for name in asked if name not in (*CHANGEABLE, *OWN) and asked[name] != theirs.get(name)]
    if fixed:
        listed = "; ".join(f"`{name}` is {theirs.get(name)!r} there, {asked[name]!r} here" for name in fixed)
        raise ConfigError(f"{source} holds weights of another configuration ({listed}); only {_listed()} may change")
    if "schedule_state_dict" in state:
        raise ConfigError(
            f"weights can be taken over only with `schedule` constant and `warmup` 0, got {config.schedule!r} and "
            f"{config.warmup!r} in {source}"
        )
    if before is not None and before.get("data") != state.get("data"):
        raise ConfigError(f"{source} holds a training on other crops or another split; its weights cannot be used here")


def _set_hyperparameters(config: TrainConfig, optimizer_state: dict[str, Any]) -> None:
    """Set the optimizer's hyperparameters to those of `config`; its moments stay."""
    fresh = make_optimizer(config, build_model(config)).state_dict()["param_groups"]
    for saved, asked in zip(optimizer_state["param_groups"], fresh, strict=True):
        saved.update({name: value for name, value in asked.items() if name != "params"})


def _is_better(before: dict[str, Any], theirs: dict[str, Any], best: dict[str, float]) -> bool:
    """True if the replaced training had a lower, comparable validation loss."""
    comparable = _objective(before["config"]) == _objective(theirs)
    return comparable and before["best"]["best_val_loss"] < best["best_val_loss"]


def _objective(config: dict[str, Any]) -> tuple[Any, ...]:
    """A key that is equal for configurations with the same validation loss."""
    summed = config["vae_reduction"] == "batch_sum" and config["model"] in VAES  # such losses grow with the batch
    values = (config[name] for name in _OBJECTIVE)
    return (config["model"] in VAES, config["batch_size"] if summed else None, *values)


def _listed() -> str:
    return ", ".join(f"`{name}`" for name in CHANGEABLE)
