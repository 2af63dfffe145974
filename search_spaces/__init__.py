"""Named search spaces: one module each, data and no logic.

A space module has a docstring (question, axes and their product, cost, command) and

- `SPACE`: TrainConfig field -> a ray.tune domain (`tune.choice([...])`, `tune.loguniform(a, b)`) or a constant;
- `TRIALS`, `EPOCHS`: the default budget;
- `POINTS` (optional): configurations of the space to try first;
- `CONDITIONS` (optional): field -> {other field: values}; the field is swept only where the other has one of these
  values (a kernel size of the CNN alone, say), and keeps its default elsewhere;
- `CV_ONLY` (optional): True when the space is one configuration for the label x fold grid.

A space once used in a publication is never edited; a changed one gets a new name.
"""

import importlib
import pkgutil
from types import ModuleType


def names() -> list[str]:
    """The names that `--space` accepts, alphabetical."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def load(name: str) -> ModuleType:
    """Import one space; only modules of this package can be named.

    Raises:
        ValueError: no such space; the message lists those that exist.
    """
    if name not in names():
        raise ValueError(f"unknown space {name!r}; spaces: {', '.join(names())}")
    return importlib.import_module(f"{__name__}.{name}")
