"""A training goes on with the weights of another one and with other hyperparameters (population based training)."""

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
    """Put the training of one directory in the place of another's, to go on with other hyperparameters.

    Weights, the optimizer's moments and the epoch are the source's; learning rate, decay and momentum are those of
    `config`, which fit() is to be called with next. The best epoch so far is the better one of the two, best.pt with
    it, where their validation losses are of the same kind; else the source's. A crash at any moment leaves the old
    training or the new one: call `complete_transplant` before the target's checkpoints are used.

    Args:
        source: directory with last.pt and best.pt; only read.
        target: directory of the training that is given up, if one has begun there.
        config: differs from the source's in CHANGEABLE and OWN fields only.

    Returns:
        The source's epoch, which the target has now done.

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
    unfinished.rename(target / _STAGED)  # from here on it is done, whatever happens
    complete_transplant(target)
    return state["epoch"]


def complete_transplant(directory: Path) -> None:
    """Finish what a crash in `transplant` left half done, or remove it; nothing to do otherwise."""
    if (directory / _UNFINISHED).exists():
        shutil.rmtree(directory / _UNFINISHED)  # the old training holds
    staged = directory / _STAGED
    if not staged.is_dir():
        return
    for name in (BEST, LAST):
        if (staged / name).exists():
            (staged / name).replace(directory / name)
    (directory / PREVIOUS).unlink(missing_ok=True)  # of the training that was given up
    staged.rmdir()


def _check_compatible(
    config: TrainConfig, theirs: dict[str, Any], state: dict[str, Any], before: dict[str, Any] | None, source: Path
) -> None:
    asked = config_dict(config)
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
    """The optimizer's own settings as `config` makes them; its moments stay."""
    fresh = make_optimizer(config, build_model(config)).state_dict()["param_groups"]
    for saved, asked in zip(optimizer_state["param_groups"], fresh, strict=True):
        saved.update({name: value for name, value in asked.items() if name != "params"})


def _is_better(before: dict[str, Any], theirs: dict[str, Any], best: dict[str, float]) -> bool:
    """Whether the training that is given up has had a lower validation loss, of the same kind."""
    comparable = _objective(before["config"]) == _objective(theirs)
    return comparable and before["best"]["best_val_loss"] < best["best_val_loss"]


def _objective(config: dict[str, Any]) -> tuple[Any, ...]:
    """Equal for configurations that are validated by the same loss."""
    summed = config["vae_reduction"] == "batch_sum" and config["model"] in VAES  # such losses grow with the batch
    values = (config[name] for name in _OBJECTIVE)
    return (config["model"] in VAES, config["batch_size"] if summed else None, *values)


def _listed() -> str:
    return ", ".join(f"`{name}`" for name in CHANGEABLE)
