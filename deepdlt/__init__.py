"""DeepDLT as a library: SEM images of laser-textured surfaces in, trained autoencoders and numbers out.

Names are imported when first used, so that `import deepdlt.figures` needs no torch.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "CNNAutoencoder": "deepdlt.models",
    "CNNVariationalAutoencoder": "deepdlt.models",
    "CropOptions": "deepdlt.create_dataset",
    "LaserDataset": "deepdlt.dataset_loader",
    "Patches": "deepdlt.create_dataset",
    "Split": "deepdlt.stratified_split",
    "TrainConfig": "deepdlt.config",
    "evaluate": "deepdlt.training",
    "fit": "deepdlt.training",
    "load_model": "deepdlt.checkpoint",
    "load_patches": "deepdlt.create_dataset",
    "make_config": "deepdlt.config",
    "make_synthetic": "deepdlt.synthetic",
    "plain_split": "deepdlt.stratified_split",
    "prepare_and_load_data": "deepdlt.dataset_loader",
    "read_source": "deepdlt.source_images",
    "reconstruct": "deepdlt.training",
    "stratified_folds": "deepdlt.stratified_split",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'deepdlt' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
