"""What a network knows of each crop or image: latent vectors, their map in two dimensions, what separates in them.

    python -m deepdlt latents RUN/best.pt --data IMAGES --labels angle,PP1 --method tsne --out map.png

Latents are centred, never standardised. A number that hardly varies says little (the inactive units of a VAE say
nothing), and divided by its standard deviation its noise would weigh as much as everything else.
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
from deepdlt.images import DLIP_LABELS, OWN_COLUMNS, Progress
from deepdlt.models import forward, scale

METHODS = ("pca", "tsne", "umap")
PCA_BEFORE = 50  # dimensions that t-SNE and UMAP start from: the rest is noise that costs time
MOST_LABELS = 5  # panels that are shown unasked


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
    """The latent vector of every crop: of a VAE its mean mu, in eval mode.

    A latent map (channels, 8, 8) is averaged over its places: the numbers at a place describe that place, and
    two crops of one surface have their stripes elsewhere; the mean of each channel describes the surface.

    Args:
        crops: (n, 1, 64, 64) uint8, n >= 1.
        batch_size: crops at a time; the result does not depend on it but for rounding.
        pool: False keeps a latent map whole, flattened to channels x 64.
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
    """A map of the latents: near in the map means alike. The same seed gives the same map on the same machine.

    `pca`: linear, the plane in which they vary most; distances are true, groups may hide behind each other.
    `tsne`: keeps neighbours; distances between groups, their sizes and densities mean nothing. `umap`: likewise.

    Args:
        latents: (n, latent), n >= 4.

    Returns:
        (n, 2) float64, centred.

    Raises:
        ImportError: `umap` without the package umap-learn.
        ValueError: unknown method, too few rows, or a value that is not finite.

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
        return np.zeros((n, 2))  # a collapsed encoder says the same of everything
    from sklearn.decomposition import PCA  # late: seconds, for maps alone

    dimensions = min(2 if method == "pca" else PCA_BEFORE, *latents.shape)
    main = PCA(dimensions, random_state=seed).fit_transform(latents.astype(np.float64))
    if main.shape[1] < 2:
        main = np.column_stack([main, np.zeros(n)])
    if method == "pca":
        return main
    found = (_tsne if method == "tsne" else _umap)(main, seed)
    return PCA(2).fit_transform(found.astype(np.float64))  # turned only: the wide way lies across


def map_quality(latents: np.ndarray, positions: np.ndarray, k: int = 15) -> float:
    """Trustworthiness: how far the k neighbours of a point in the map are its neighbours in the latents too.

    1 is a map without false neighbours, about 0.5 a random one. `k` is lowered to less than half of the points.
    Needs memory for n x n numbers.

    Source: Venna & Kaski 2001; `sklearn.manifold.trustworthiness`.
    """
    from sklearn.manifold import trustworthiness  # late: seconds, for maps alone

    return float(trustworthiness(latents, positions, n_neighbors=max(1, min(k, (len(latents) - 1) // 2))))


def separation(latents: np.ndarray, classes: Sequence[Any] | np.ndarray) -> float | None:
    """Silhouette in the latent space: 1 if every class is a group of its own, 0 if classes overlap, < 0 if mixed up.

    Measured in the latents, not in their map. Compare a label with the folder: latents that separate folders more
    than the label show the measurement campaign, not the process (the batch effect).

    Args:
        classes: (n,) class of each row.

    Returns:
        The mean over the rows, or None where there is nothing to compare: one class, or no two rows in the same one.

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
        from umap import UMAP  # late: not installed with us
    except ImportError as error:
        raise ImportError("UMAP is not installed: pip install umap-learn, or choose tsne or pca") from error
    neighbours = min(15, len(main) - 1)
    start = "spectral" if len(main) > 10 else "random"  # fewer points have no spectrum to start from
    return UMAP(n_neighbors=neighbours, init=start, random_state=seed, n_jobs=1).fit_transform(main)


def separation_of(latents: np.ndarray, values: pd.Series) -> float | None:
    """`separation` by a label: many numbers in 5 bins of equal counts, rows without a value left out."""
    known = values.notna().to_numpy()
    return separation(latents[known], bin_label(values[known])) if known.any() else None


def folder_names(files: pd.Series) -> pd.Series:
    """The folder of each file; its last part where that is unique."""
    folders = files.map(lambda file: str(PurePosixPath(file).parent))
    last = {folder: PurePosixPath(folder).name or "." for folder in folders.unique()}
    times = Counter(last.values())
    return folders.map(lambda folder: last[folder] if times[last[folder]] == 1 else folder)


def shown_labels(images: pd.DataFrame) -> tuple[str, ...]:
    """The labels that a map is coloured by: the DLIP ones, or those columns that divide the images."""
    columns = [name for name in images if name not in (*OWN_COLUMNS, "Names")]
    if set(DLIP_LABELS) <= set(columns):
        return DLIP_LABELS
    distinct = images[columns].nunique()
    return tuple([name for name in columns if 1 < distinct[name] <= len(images) / 2][:MOST_LABELS])
