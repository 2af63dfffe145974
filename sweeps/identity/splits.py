"""The splits of a sweep: one plain one for the search, folds per label for the cross-validation."""

import pandas as pd

from deepdlt.dataset import Patches, Split, bin_label, check_folds, class_name, fold_splits, single_split
from deepdlt.errors import DataError
from sweeps.errors import SweepRefused
from sweeps.request import LABELS, Request


def search_label(images: pd.DataFrame) -> str:
    """The label that stratifies the search's plain split, "" for none: a rule that --labels cannot change half-way."""
    return next((name for name in LABELS if name in images.columns and images[name].notna().all()), "")


def check_labels(request: Request, images: pd.DataFrame) -> None:
    """Refuse folds that the labels of these images do not allow; every such label is listed.

    Protocol `report` splits crops; it is checked once they exist.
    """
    unit = request.config().split_unit
    problems = []
    for label in request.labels if request.cv and unit != "crop" else ():
        try:
            check_folds(images, images["image_id"].to_numpy(), label, request.folds, unit)
        except DataError as error:
            problems.append(str(error))
    if problems:
        raise SweepRefused("\n".join(problems))


def make_splits(request: Request, patches: Patches) -> dict[tuple[str, int], Split]:
    """(label, fold) -> crop indices; fold 0 is the plain split that all search trials share."""
    config, first = request.config(), search_label(patches.images)
    splits = {(first, 0): single_split(config, patches, first or None, request.seed)}
    for label in request.labels if request.cv else ():
        folds = fold_splits(config, patches, label, request.folds, request.seed)
        splits |= {(label, k): split for k, split in enumerate(folds, start=1)}
    return splits


def class_members(request: Request, patches: Patches) -> dict[str, dict[str, list[int]]]:
    """label -> class name -> image ids, for the report's error per class."""
    images = patches.images
    members: dict[str, dict[str, list[int]]] = {}
    for label in request.labels:
        values = images[label]
        codes = bin_label(values, "report" if request.config().split_unit == "crop" else "corrected")
        members[label] = {
            class_name(values, codes, code): images.loc[codes == code, "image_id"].tolist()
            for code in sorted(set(codes))
        }
    return members
