"""The best, the median and the worst image of a trained network, as pictures for the report."""

from typing import Any

import numpy as np
import torch

from deepdlt.dataset import Split
from deepdlt.models import reconstruct
from deepdlt.training import evaluate
from sweeps.store import TrialLog

TRAIN_CROPS = 256  # of the training set, evenly spread, that are looked at


def log_extremes(log: TrialLog, outcome: Any, crops: np.ndarray, split: Split, image_id: np.ndarray, step: int) -> None:
    """Log `extremes/test` and `extremes/train`: three originals over their reconstructions.

    They belong to the images with the highest, the median and the lowest mean PSNR over their crops; of each the crop
    that is nearest to that mean. A reader finds the same images in `test_by_image` of the trial's record.

    Args:
        outcome: the tested network with `model`, `config`, `device`, and `per_crop["psnr_db"]` of `split.test`.
        crops: (n, 1, size, size) uint8.
        image_id: (n,) image of each crop.
    """
    train = split.train[np.unique(np.linspace(0, len(split.train) - 1, TRAIN_CROPS).astype(int))]
    images = torch.as_tensor(crops).to(outcome.device)
    of_train = evaluate(outcome.model, outcome.config, images, torch.as_tensor(train).to(outcome.device))["psnr_db"]
    for part, indices, psnr in (("test", split.test, outcome.per_crop["psnr_db"]), ("train", train, of_train)):
        chosen = indices[extremes(psnr.double().numpy(), image_id[indices])]
        originals = torch.as_tensor(crops[chosen])
        output = reconstruct(outcome.model, outcome.config, originals.to(outcome.device)).cpu()
        rows = (originals[:, 0], output[:, 0].mul(255).round().to(torch.uint8))
        log.image(f"extremes/{part}", torch.cat([torch.cat(list(row), dim=1) for row in rows]).numpy(), step)


def extremes(psnr_db: np.ndarray, image_id: np.ndarray) -> list[int]:
    """Positions of three crops: of the image with the highest, the median and the lowest mean PSNR.

    Args:
        psnr_db: (n,) of each crop; image_id: (n,) image of each crop. Of equal images the name that sorts first counts.
    """
    names, position = np.unique(image_id, return_inverse=True)
    means = np.bincount(position, psnr_db) / np.bincount(position)
    order = sorted(range(len(names)), key=lambda k: (-means[k], str(names[k])))
    chosen = (order[0], order[len(order) // 2], order[-1])
    return [int(min(np.flatnonzero(position == k), key=lambda crop: abs(psnr_db[crop] - means[k]))) for k in chosen]
