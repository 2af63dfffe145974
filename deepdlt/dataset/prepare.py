"""Crops and splits for a configuration, from a folder of images or from the built-in synthetic images."""

from pathlib import Path

from deepdlt.config import TrainConfig
from deepdlt.dataset.classes import Labels
from deepdlt.dataset.create_dataset import CropOptions
from deepdlt.dataset.patches import Patches
from deepdlt.dataset.stratified_split import Split, evaluate_on_tiles, plain_split, stratified_folds

CACHE = Path("data")
SYNTHETIC_CROPS_PER_IMAGE = 32  # 30 images x 32 crops: trained within seconds on a laptop
USUAL_SIZE = 64  # px; of larger crops fewer are cut, so that memory and time grow with the side and not with its square


def crop_options(config: TrainConfig, synthetic: bool, brightness_varied: bool = False) -> CropOptions:
    """How crops are cut for a configuration.

    Args:
        synthetic: True for the built-in images, from which fewer crops are cut.
        brightness_varied: True if the training varies the brightness; the crops then keep theirs.
    """
    defaults = CropOptions()
    usual = SYNTHETIC_CROPS_PER_IMAGE if synthetic else defaults.crops_per_image
    return CropOptions(
        crops_per_image=usual * USUAL_SIZE // config.crop_size,
        crop_size=config.crop_size,
        downsample=config.downsample,
        sampling="grid_eval" if config.eval_crops == "grid" else "random",
        brightness=0.0 if brightness_varied or config.augment_brightness else defaults.brightness,
    )


def single_split(config: TrainConfig, patches: Patches, label: Labels | None, seed: int = 42) -> Split:
    """Split 80/10/10 by the configuration's `split_unit`, stratified by `label`; tested on tiles if there are any."""
    split = plain_split(patches.images, patches.image_id, label=label, unit=config.split_unit, seed=seed)
    return evaluate_on_tiles(split, patches.table)


def fold_splits(config: TrainConfig, patches: Patches, label: Labels, n_folds: int, seed: int = 42) -> list[Split]:
    """The folds for the configuration's `split_unit` and `holdout`.

    Raises:
        DataError: `n_folds` is too large for the classes of `label`.
    """
    options = {"unit": config.split_unit, "holdout": config.holdout}
    folds = stratified_folds(patches.images, patches.image_id, label, n_folds, seed=seed, **options)
    return [evaluate_on_tiles(split, patches.table) for split in folds]
