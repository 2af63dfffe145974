"""Unfinished trials of an earlier run: resumed if the training is the same."""

from pathlib import Path

from ray import tune

from deepdlt.atomic import write_atomic
from deepdlt.models import BEST, LAST, PREVIOUS, load_last
from deepdlt.training import complete_transplant
from sweeps.store import CODE_FILE, TuneConfig
from sweeps.tuning import population_members as population


def begin(config: TuneConfig, directory: Path, code: str) -> None:
    """Note which code trains here; what other code has begun, or is another training by now, is begun again.

    Args:
        config: what Tune hands to the trainable.
        directory: of the trial; created if absent.
        code: digest.
    """
    directory.mkdir(parents=True, exist_ok=True)
    complete_transplant(directory)
    if begun_by_other_code(directory, code) or _is_another_training(config, directory):
        for name in (LAST, PREVIOUS, BEST, population.SCHEDULE):
            (directory / name).unlink(missing_ok=True)
    if population.POPULATION not in config:
        (directory / population.SCHEDULE).unlink(missing_ok=True)  # of a member that nothing happened to
    write_atomic(directory / CODE_FILE, code.encode())


def begun_by_other_code(directory: Path, code: str) -> bool:
    """Whether code of another digest has begun the trial; its epochs are not comparable then."""
    mark = directory / CODE_FILE
    return mark.exists() and mark.read_text(encoding="utf-8") != code


def _is_another_training(config: TuneConfig, directory: Path) -> bool:
    """Whether a population of an earlier run has changed it, and Tune's config knows nothing of that."""
    if population.POPULATION not in config and population.is_changed(directory):
        return True
    if population.POPULATION in config and tune.get_checkpoint() is not None:
        return False  # the settings are the donor's, and its weights yet to be taken
    state, now = load_last(directory), population.settings(config)
    return state is not None and any(state["config"].get(name, value) != value for name, value in now.items())
