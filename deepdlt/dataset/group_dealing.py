"""Deal rows to parts that divide no group, with the classes of one or several labels spread evenly."""

import warnings

import numpy as np
import pandas as pd

from deepdlt.errors import DataError

MOST_EXCHANGED = 1000  # groups; the table of their pairs has a million entries


def deal_rows(classes: np.ndarray, groups: np.ndarray | None, n: int, seed: int) -> np.ndarray:
    """(rows,) part of each row: n parts that divide no group, stratified as well as the classes allow."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold  # late: seconds, and trials deal nothing

    joint = _joint(classes)
    units = np.arange(len(joint)) if groups is None else groups
    per_class = pd.Series(units).groupby(joint).nunique()
    if classes.shape[1] > 1 and per_class.min() < n:
        counts, of_group = _members(classes, units)
        return deal_groups(counts, n, seed)[of_group]
    if per_class.max() < n:  # scikit-learn refuses if no class fills the folds: draw without classes
        joint = np.zeros_like(joint)
    splitter = StratifiedKFold if groups is None else StratifiedGroupKFold
    part = np.empty(len(joint), int)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        for k, (_, held) in enumerate(splitter(n, shuffle=True, random_state=seed).split(joint, joint, groups)):
            part[held] = k
    return part


def hold_out_groups(classes: np.ndarray, groups: np.ndarray, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(kept, held-out) rows: about 1/n of the groups held out, stratified as well as the classes allow."""
    n_groups = len(np.unique(groups))
    if n_groups < 2:
        raise DataError("too few independent images for a training, a validation and a test set; at least 3 are needed")
    part = deal_rows(classes, groups, min(n, n_groups), seed)
    return np.flatnonzero(part != 0), np.flatnonzero(part == 0)


def deal_groups(counts: np.ndarray, n_parts: int, seed: int) -> np.ndarray:
    """Part (0..n_parts-1) of each group, with every class of every label spread as evenly as the groups allow.

    The class with the fewest members left is dealt first, its largest groups first. Each group goes to the part that
    lacks most of this class (on a tie: most of all classes; then by lot). No part stays empty if there are enough
    groups. Pairs of groups (of at most 1000) are then exchanged until no exchange improves the balance.

    Args:
        counts: (n_groups, n_classes) members of each class in each group; classes of all labels side by side.
        n_parts: >= 1.
        seed: of the lots.

    Source: Sechidis, Tsoumakas, Vlahavas 2011, On the Stratification of Multi-Label Data (iterative
    stratification), with groups in place of examples.
    """
    rng = np.random.default_rng(seed)
    lacking = np.tile(counts.sum(0) / n_parts, (n_parts, 1))
    part = np.full(len(counts), -1)
    while (left := np.flatnonzero(part < 0)).size:
        remaining = counts[left].sum(0).astype(float)
        rarest = np.where(remaining > 0, remaining, np.inf).argmin()
        members = rng.permutation(left[counts[left, rarest] > 0])
        for group in members[np.argsort(-counts[members].sum(1), kind="stable")]:
            chosen = np.lexsort((rng.random(n_parts), lacking.sum(1), lacking[:, rarest]))[-1]
            part[group] = chosen
            lacking[chosen] -= counts[group]
    chosen = rng.permutation(len(counts))[:MOST_EXCHANGED]
    part[chosen] = _exchange(counts[chosen], part[chosen], lacking)
    return part


def _exchange(counts: np.ndarray, part: np.ndarray, lacking: np.ndarray) -> np.ndarray:
    """Exchange the pair of groups that improves the balance most (least squares), until none improves it."""
    counts = counts.astype(float)
    products = counts @ counts.T
    distance = products.diagonal()[:, None] + products.diagonal() - 2 * products  # squared, of each pair of groups
    while True:
        fit = counts @ lacking.T  # (groups, parts): how well each group fills the lack of each part
        at_home = fit[np.arange(len(part)), part]
        gain = fit[:, part] - at_home[:, None]  # of group i in the part of group j
        gain = gain + gain.T - distance
        a, b = np.unravel_index(gain.argmax(), gain.shape)
        if gain[a, b] <= 1e-9 * (1 + distance.max()):
            return part
        change = counts[b] - counts[a]
        lacking[part[a]] -= change
        lacking[part[b]] += change
        part[a], part[b] = part[b], part[a]


def _joint(classes: np.ndarray) -> np.ndarray:
    """(n,) number of each combination of the labels' classes."""
    return np.unique(classes, axis=0, return_inverse=True)[1].reshape(-1)


def _members(classes: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n_groups, classes of all labels) counts, and the group of each row."""
    of_group = np.unique(groups, return_inverse=True)[1]
    columns = [column == code for column in classes.T for code in np.unique(column)]
    return np.stack([np.bincount(of_group, column) for column in columns], axis=1), of_group
