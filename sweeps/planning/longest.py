"""Which trials of a list take longest: those come first, so that no processor idles while the last one ends."""

from collections.abc import Iterable
from functools import cache, partial

import torch
from torch import Tensor, nn

from deepdlt.config import TrainConfig
from deepdlt.models import build_model
from sweeps.planning.eta import kind
from sweeps.space import Configuration
from sweeps.store import TuneConfig, trial_cell

PIXELS = 64  # of a crop's side; what is compared does not depend on it


def longest_first(trials: Iterable[TuneConfig]) -> list[TuneConfig]:
    """The trials by their arithmetic, most first; equal ones keep their order.

    Args:
        trials: what `sweeps.store.trial_config` made, all of as many epochs and about as many crops.
    """
    return sorted(trials, key=lambda trial: -multiplications(kind(trial_cell(trial).config)))


@cache
def multiplications(of: Configuration) -> int:
    """Of a forward pass of one crop, in its convolutions and linear layers; 0 for choices that do not go together."""
    counts: list[int] = []
    with torch.random.fork_rng(devices=[]):
        try:
            model = build_model(TrainConfig(**of)).eval()
        except ValueError:  # such a trial fails at once
            return 0
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            layer.register_forward_hook(partial(_count, counts))
    with torch.no_grad():
        model(torch.zeros(1, 1, PIXELS, PIXELS))
    return sum(counts)


def _count(counts: list[int], layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    """Each weight meets each pixel of what a layer writes; of what it reads where it is transposed."""
    weight = next(layer.parameters())
    if isinstance(layer, nn.Linear):
        counts.append(weight.numel())
    else:
        pixels = inputs[0] if isinstance(layer, nn.ConvTranspose2d) else output
        counts.append(weight.numel() * pixels[0, 0].numel())
