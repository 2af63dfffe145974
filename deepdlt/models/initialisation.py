"""Initial weights: matched to the activation, or a cosine transform."""

import math

import torch
from torch import Tensor, nn

_GAINS = {
    "selu": 1.0,  # LeCun et al. 1998; the activation itself keeps the variance (Klambauer et al. 2017)
    "relu": math.sqrt(2),  # He et al. 2015
    "leaky_relu": math.sqrt(2 / (1 + 0.1**2)),
    "elu": math.sqrt(2),
    "silu": math.sqrt(2),
}


Layer = nn.Conv2d | nn.ConvTranspose2d | nn.Linear


def match_weights(model: nn.Module, activation: str) -> None:
    """Draw normal weights of standard deviation gain / sqrt(fan-in) and set biases to zero, in place.

    The gain of a convolution, plain or transposed, is that of the activation; it is 1 for linear layers and for the
    last convolution, which have no activation. Layers of derived classes keep their own initial weights.
    """
    layers = [m for m in model.modules() if isinstance(m, Layer)]
    output = [m for m in layers if not isinstance(m, nn.Linear)][-1]
    for layer in layers:
        if type(layer) not in (nn.Conv2d, nn.ConvTranspose2d, nn.Linear):
            continue
        gain = 1.0 if isinstance(layer, nn.Linear) or layer is output else _GAINS[activation]
        nn.init.normal_(layer.weight, std=gain / math.sqrt(fan_in(layer)))
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def fan_in(layer: Layer) -> float:
    """Number of products in the sum of one output value, averaged over the output's pixels.

    For a transposed convolution torch.nn.init uses the number of outputs, because its weight has the axes exchanged.
    """
    if isinstance(layer, nn.ConvTranspose2d):
        return layer.in_channels * math.prod(layer.kernel_size) / math.prod(layer.stride)
    return layer.weight[0].numel()


def cosine_images(count: int, side: int) -> Tensor:
    """The `count` patterns of lowest frequency of the orthonormal 2-D DCT-II, (count, 1, side, side), unit norm each.

    A closed form, independent of any data.
    """
    frequency, pixel = torch.arange(side).double(), torch.arange(side).double()
    waves = torch.cos(math.pi / side * frequency[:, None] * (pixel + 0.5)) * math.sqrt(2 / side)
    waves[0] /= math.sqrt(2)
    order = (frequency[:, None].square() + frequency.square()).flatten().argsort(stable=True)[:count]
    rows, columns = waves[order // side], waves[order % side]
    return (rows[:, :, None] * columns[:, None, :]).unsqueeze(1).float()
