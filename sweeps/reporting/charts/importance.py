"""Which settings matter: Optuna's functional ANOVA of the complete search trials."""

import math
from collections.abc import Sequence
from typing import Any

from sweeps.reporting.logs import Trial
from sweeps.space import Space

FEWEST = 4  # trials; of fewer, any forest fits
RELIABLE = 30  # trials, below which the shares change much with every further trial
MOST_CHOICES = 12  # distinct values; more are a range of numbers
NOT_APPLICABLE = "does not apply"


def importances(ranked: Sequence[Trial], axes: Sequence[str], space: Space) -> dict[str, float]:
    """Setting -> its share of the variance of the validation PSNR, largest first; empty for few or equal trials.

    A setting that some trials do not have counts with "does not apply" as a value.

    Source: Hutter, Hoos and Leyton-Brown 2014 (ICML), as in Optuna's FanovaImportanceEvaluator.
    """
    rows = [space.shown(trial.config) for trial in ranked]
    psnr = [trial.number("val_psnr_db") for trial in ranked]
    varied = [name for name in axes if len({str(row.get(name)) for row in rows}) > 1]
    if len(ranked) < FEWEST or not varied or max(psnr) - min(psnr) <= 0 or not all(map(math.isfinite, psnr)):
        return {}
    import optuna  # late: takes a second, and most reports are of few trials

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    values, distributions = _columns(rows, varied, optuna.distributions)
    study = optuna.create_study(direction="maximize")
    for row, value in zip(values, psnr, strict=True):
        study.add_trial(optuna.create_trial(params=row, distributions=distributions, value=value))
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {name: float(share) for name, share in found.items()}


def caveat(n: int) -> str:
    """What the shares of n trials are worth."""
    text = "Share of the variance of the validation PSNR over complete trials that a setting explains alone"
    text += " (Optuna's fANOVA)."
    if n < RELIABLE:
        text += f" From {n} trials these shares are a rough hint: below {RELIABLE} each further trial may change them."
    return f"{text} Pruned trials are left out, so settings that always lose look less important than they are."


def _columns(rows: Sequence[Any], varied: Sequence[str], kinds: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Parameters of each trial, and their distributions."""
    values: list[dict[str, Any]] = [{} for _ in rows]
    distributions = {}
    for name in varied:
        column = [row.get(name) for row in rows]
        numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for v in column)
        if numeric and len(set(column)) > MOST_CHOICES:
            low, high = float(min(column)), float(max(column))
            distributions[name] = kinds.FloatDistribution(low, high, log=low > 0 and high >= 10 * low)
            converted: list[Any] = [float(v) for v in column]
        else:
            converted = [NOT_APPLICABLE if v is None else v if isinstance(v, int | float) else str(v) for v in column]
            distributions[name] = kinds.CategoricalDistribution(sorted(set(converted), key=str))
        for row, value in zip(values, converted, strict=True):
            row[name] = value
    return values, distributions
