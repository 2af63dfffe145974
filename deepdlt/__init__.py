"""DeepDLT as a library: SEM images of laser-textured surfaces in, trained autoencoders and numbers out.

Names are imported when first used, so that `import deepdlt.figures` needs no torch.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "CNNAutoencoder": "deepdlt.models",
    "CNNVariationalAutoencoder": "deepdlt.models",
    "ConfigError": "deepdlt.config",
    "CropOptions": "deepdlt.create_dataset",
    "DataError": "deepdlt.data_errors",
    "LaserDataset": "deepdlt.dataset_loader",
    "Patches": "deepdlt.create_dataset",
    "ResidualAutoencoder": "deepdlt.models",
    "ResidualVariationalAutoencoder": "deepdlt.models",
    "Split": "deepdlt.stratified_split",
    "TrainConfig": "deepdlt.config",
    "balance": "deepdlt.leakage",
    "baseline_table": "deepdlt.baselines",
    "build_model": "deepdlt.models",
    "encode_crops": "deepdlt.latents",
    "evaluate": "deepdlt.evaluation",
    "fit": "deepdlt.training",
    "load_model": "deepdlt.checkpoint",
    "load_original": "deepdlt.checkpoint",
    "load_patches": "deepdlt.create_dataset",
    "make_config": "deepdlt.config",
    "make_synthetic": "deepdlt.synthetic",
    "mean_leakage": "deepdlt.leakage",
    "per_image": "deepdlt.latents",
    "plain_split": "deepdlt.stratified_split",
    "prepare_and_load_data": "deepdlt.dataset_loader",
    "project": "deepdlt.latents",
    "read_source": "deepdlt.source_images",
    "reconstruct": "deepdlt.inference",
    "sample_images": "deepdlt.variational",
    "separation": "deepdlt.latents",
    "stratified_folds": "deepdlt.stratified_split",
    "traversals": "deepdlt.variational",
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
