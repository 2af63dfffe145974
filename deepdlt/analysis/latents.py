"""Latent vectors of crops or images: their map in two dimensions, and the separation of classes in them.

    deepdlt latents RUN/best.pt --data IMAGES --labels angle,PP1 --method tsne --out map.png

Latents are centred, but not standardised. A dimension that hardly varies holds little information (an inactive one of a
VAE holds none); division by its standard deviation would give its noise the weight of all other dimensions.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from deepdlt.config import TrainConfig
from deepdlt.dataset import bin_label
from deepdlt.images import DLIP_LABELS, Progress
from deepdlt.models import forward, scale
from deepdlt.tables import OWN_COLUMNS

METHODS = ("pca", "tsne", "umap")
PCA_BEFORE = 50  # dimensions for t-SNE and UMAP; further ones are noise that costs time
MOST_LABELS = 5  # panels by default


@torch.inference_mode()
def encode_crops(
    model: nn.Module,
    config: TrainConfig,
    crops: np.ndarray,
    batch_size: int = 32,
    *,
    pool: bool = True,
    progress: Progress | None = None,
) -> np.ndarray:
    """The latent vector of every crop, in eval mode; for a VAE its mean mu.

    A latent map (channels, 8, 8) is averaged over its positions. The values at a position describe that position, and
    the fringes of two crops of one surface are at different positions; the channel means describe the surface.

    Args:
        crops: (n, 1, side, side) uint8, n >= 1.
        batch_size: crops per step; it affects the result only by rounding.
        pool: False keeps the whole latent map, flattened to channels x 64.
        progress: called with (done, n).

    Returns:
        (n, latent) float32.

    Raises:
        ValueError: no crops, or not uint8.
    """
    if len(crops) == 0 or crops.dtype != np.uint8:
        raise ValueError(f"`crops` must be at least one crop of uint8, got {len(crops)} of {crops.dtype}")
    model.eval()
    encode: Any = model.encode  # nn.Module does not know it
    device = next(model.parameters()).device
    parts = []
    for start in range(0, len(crops), batch_size):
        x = torch.as_tensor(crops[start : start + batch_size]).to(device).float().div(255)
        found = forward(encode, config, scale(x, config))
        z = (found[0] if isinstance(found, tuple) else found).float()
        parts.append((z.flatten(2).mean(2) if pool and z.ndim > 2 else z.flatten(1)).cpu().numpy())
        if progress:
            progress(min(start + batch_size, len(crops)), len(crops))
    return np.concatenate(parts)


def per_image(values: np.ndarray, image_id: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean over the crops of each image.

    Args:
        values: (n, latent), one row per crop.
        image_id: (n,) image of each crop.

    Returns:
        (m,) images, ascending, and their means (m, latent).
    """
    images, place, crops = np.unique(image_id, return_inverse=True, return_counts=True)
    sums = np.zeros((len(images), values.shape[1]))
    np.add.at(sums, place, values)
    return images, sums / crops[:, None]


def project(latents: np.ndarray, method: str = "tsne", seed: int = 0) -> np.ndarray:
    """A 2-D map of the latents: nearby points are similar. The same seed gives the same map on the same machine.

    `pca`: the plane of largest variance; linear, so distances are correct, but groups may overlap. `tsne` and `umap`:
    keep neighbours together; distances between groups, their sizes and their densities have no meaning.

    Args:
        latents: (n, latent), n >= 4.

    Returns:
        (n, 2) float64, centred.

    Raises:
        ImportError: `umap` without the package umap-learn.
        ValueError: unknown method, too few rows, or values that are not finite.

    Source: van der Maaten & Hinton 2008 (t-SNE), perplexity 30 or a third of the points; McInnes et al. 2018 (UMAP).
    """
    if method not in METHODS:
        raise ValueError(f"`method` must be one of {', '.join(METHODS)}, got {method!r}")
    n = len(latents)
    if n < 4:
        raise ValueError(f"a map needs at least 4 points, got {n}")
    if not np.isfinite(latents).all():
        raise ValueError("`latents` must be finite; did the training diverge?")
    if not np.ptp(latents, axis=0).any():
        return np.zeros((n, 2))  # a collapsed encoder: all latents are equal
    from sklearn.decomposition import PCA  # late: seconds, for maps alone

    dimensions = min(2 if method == "pca" else PCA_BEFORE, *latents.shape)
    main = PCA(dimensions, random_state=seed).fit_transform(latents.astype(np.float64))
    if main.shape[1] < 2:
        main = np.column_stack([main, np.zeros(n)])
    if method == "pca":
        return main
    found = (_tsne if method == "tsne" else _umap)(main, seed)
    return PCA(2).fit_transform(found.astype(np.float64))  # only a rotation: the widest direction becomes horizontal


def map_quality(latents: np.ndarray, positions: np.ndarray, k: int = 15) -> float:
    """Trustworthiness: the degree to which the k neighbours of a point in the map are also neighbours in the latents.

    1 for a map without false neighbours, about 0.5 for a random one. `k` is reduced to less than half of the points.
    Needs memory for n x n values.

    Source: Venna & Kaski 2001; `sklearn.manifold.trustworthiness`.
    """
    from sklearn.manifold import trustworthiness  # late: seconds, for maps alone

    return float(trustworthiness(latents, positions, n_neighbors=max(1, min(k, (len(latents) - 1) // 2))))


def separation(latents: np.ndarray, classes: Sequence[Any] | np.ndarray) -> float | None:
    """Silhouette in the latent space: 1 for separate classes, 0 for overlapping ones, < 0 for mixed ones.

    Measured in the latents, not in their map. Compare a label with the folder: latents that separate folders more
    than the label show the measurement campaign, not the process (the batch effect).

    Args:
        classes: (n,) class of each row.

    Returns:
        The mean over the rows, or None if there is only one class or no class has two rows.

    Source: Rousseeuw 1987; `sklearn.metrics.silhouette_score`.
    """
    found = np.unique(np.asarray(classes).astype(str), return_inverse=True)[1]
    if not 1 < found.max(initial=0) + 1 < len(found):
        return None
    from sklearn.metrics import silhouette_score  # late: seconds, for maps alone

    return float(silhouette_score(latents, found))


def _tsne(main: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.manifold import TSNE  # late: seconds, for maps alone

    perplexity = min(30.0, (len(main) - 1) / 3)
    return TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(main)


def _umap(main: np.ndarray, seed: int) -> np.ndarray:
    try:
        from umap import UMAP  # late: an optional package
    except ImportError as error:
        raise ImportError("UMAP is not installed: pip install umap-learn, or choose tsne or pca") from error
    neighbours = min(15, len(main) - 1)
    start = "spectral" if len(main) > 10 else "random"  # the spectral start needs more points
    return UMAP(n_neighbors=neighbours, init=start, random_state=seed, n_jobs=1).fit_transform(main)


def separation_of(latents: np.ndarray, values: pd.Series) -> float | None:
    """`separation` by a label: a measurement in 5 bins of equal counts; rows without a value are left out."""
    known = values.notna().to_numpy()
    return separation(latents[known], bin_label(values[known])) if known.any() else None


def folder_names(files: pd.Series) -> pd.Series:
    """The folder of each file; only its last part if that is unique."""
    folders = files.map(lambda file: str(PurePosixPath(file).parent))
    last = {folder: PurePosixPath(folder).name or "." for folder in folders.unique()}
    times = Counter(last.values())
    return folders.map(lambda folder: last[folder] if times[last[folder]] == 1 else folder)


def shown_labels(images: pd.DataFrame) -> tuple[str, ...]:
    """Default labels for the colours of a map: the DLIP labels, or columns whose values group the images."""
    columns = [name for name in images if name not in (*OWN_COLUMNS, "Names")]
    if set(DLIP_LABELS) <= set(columns):
        return DLIP_LABELS
    distinct = images[columns].nunique()
    return tuple([name for name in columns if 1 < distinct[name] <= len(images) / 2][:MOST_LABELS])
