"""Residual autoencoders, successors of the study's networks: initially a linear transform, to which training adds.

A path without parameters leads from the crop to the latent and back: pixels move into channels on the way down and back
on the way up, so no pooling removes the phase and period of a surface's fringes. The convolutions beside the path are
initially zero, and the latent layers a low-pass cosine transform: untrained, 128 latent dimensions are about as good as
a PCA.

Source: the "residual autoencoding" of DC-AE, Chen et al. 2024, arXiv 2410.10733; pre-activation, He et al. 2016.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from deepdlt.config import TrainConfig
from deepdlt.models.autoencoder import activation
from deepdlt.models.initialisation import cosine_images
from deepdlt.models.vae import Variational

NORM_GROUPS = 8
NORM_CRASHES = torch.__version__.startswith(("2.11.", "2.12."))
"""On a CPU the gradient of group norm ends the process there when its input needs none, and memory formats differ."""
LOGVAR_START = -4.0  # near the optimum for a reconstruction of 22 dB: the log of its mean squared error


class ResidualBlock(nn.Module):
    """x + convolution(dropout(activation(convolution(activation(group norm(x)))))), 3x3 each, shape unchanged."""

    def __init__(self, channels: int, config: TrainConfig) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.GroupNorm(NORM_GROUPS, channels),
            activation(config),
            nn.Conv2d(channels, channels, 3, padding=1),
            activation(config),
            nn.Dropout2d(config.dropout),
            _ZeroConv2d(channels, channels, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, h, w) -> same shape; under autocast x stays float32, and only the branch is bfloat16."""
        return x + self.branch(x)


class _ResidualTrunk(nn.Module):
    """Common part of both models: crop -> features and latent -> crop; `latent_shape` without the batch axis."""

    def __init__(self, config: TrainConfig) -> None:
        super().__init__()
        w = self.width = config.width
        self.side, self.latent_side = config.side, config.latent_side
        self.is_map = config.latent_channels > 0
        self.latent_shape: tuple[int, ...] = (config.latent_dim,)
        if self.is_map:
            self.latent_shape = (config.latent_channels, self.latent_side, self.latent_side)
        # The stream and the output of the branches have about unit variance: one learning rate suits both.
        symmetric = config.input_range == "symmetric"
        self.low, self.centre, self.unit = (-1.0, 0.0, 0.4) if symmetric else (0.0, 0.5, 0.2)

        def blocks(channels: int) -> list[nn.Module]:
            return [ResidualBlock(channels, config) for _ in range(config.blocks)]

        # The channels are `copies` of the moved pixels; each halving of the side halves their number.
        copies = (w // 8, w // 16 if w % 16 == 0 else 1)
        self.encoder = nn.Sequential(
            *blocks(w), _Down(w, copies[0]), *blocks(2 * w), _Down(2 * w, copies[1]), *blocks(4 * w)
        )
        self.decoder = nn.Sequential(
            *blocks(4 * w), _Up(4 * w, copies[1]), *blocks(2 * w), _Up(2 * w, copies[0]), *blocks(w)
        )
        self.to_pixels = nn.Sequential(
            nn.GroupNorm(NORM_GROUPS, w), activation(config), _ZeroConv2d(w, 4, 3, padding=1)
        )
        encode, decode = self._cosine_transform()
        self.to_latent, self.from_latent = _Transform(encode), _Transform(decode)

    def decode(self, z: Tensor) -> Tensor:
        """Latent (batch, *latent_shape) -> (batch, 1, side, side), in eval mode clamped to the range of the inputs.

        A sigmoid would make the initial transform nonlinear; a clamp in training would stop some gradients.
        """
        features = self.from_latent(z.permute(0, 2, 3, 1) if self.is_map else z).to(self.from_latent.weight.dtype)
        if not self.is_map:
            features = features.unflatten(1, (self.latent_side, self.latent_side, 4 * self.width))
        h = self.decoder(features.permute(0, 3, 1, 2))
        x = _channels_to_space(_resize_channels(h, 4) + self.to_pixels(h)) * self.unit + self.centre
        return x if self.training else x.clamp(self.low, 1.0)

    def _features(self, x: Tensor) -> Tensor:
        """(batch, 1, side, side) -> (batch, side/8, side/8, 4 width), flattened for a vector latent."""
        h = _resize_channels(_space_to_channels((x - self.centre) / self.unit), self.width)
        if NORM_CRASHES and torch.is_grad_enabled() and not h.requires_grad:
            h.requires_grad_()
        h = self.encoder(h).permute(0, 2, 3, 1)
        return h if self.is_map else h.flatten(1)

    def _latent(self, features: Tensor, head: nn.Module) -> Tensor:
        """Features -> (batch, *latent_shape)."""
        return head(features).permute(0, 3, 1, 2) if self.is_map else head(features)

    @torch.no_grad()
    def _cosine_transform(self) -> tuple[Tensor, Tensor]:
        """Matrices features -> latent and back: a DCT of the crop or, for a latent map, of each square of 8x8 pixels.

        Their rows are the output of the encoder, still without branches, for the cosine patterns. Latent dimensions
        beyond the number of pixels are initially random in the encoder and unused in the decoder.
        """
        side = self.side // self.latent_side if self.is_map else self.side
        count = self.latent_shape[0]
        patterns = cosine_images(min(count, side * side), side)
        rows = self._features(patterns + self.centre).flatten(1)
        extra = torch.randn(count - len(rows), rows.shape[1]) * rows.shape[1] ** -0.5
        # With a width below 16 some patterns average to zero; the lower bound keeps their rows at zero.
        encode = torch.cat([rows / rows.square().sum(1, keepdim=True).clamp_min(1e-6), extra])
        return encode, torch.cat([rows, torch.zeros_like(extra)]).T


class ResidualAutoencoder(_ResidualTrunk):
    """Autoencoder of greyscale crops with a latent map (latent_channels, side/8, side/8) or vector (latent_dim,).

    With width 32 and one block it has 856,404 parameters with 128 latent channels, 827,620 with 16, and 2,928,852 with
    a vector of 128 dimensions. A map of 64 or more channels is lossless before training (if the width is a multiple of
    16), so it is no bottleneck.
    """

    def encode(self, x: Tensor) -> Tensor:
        """(batch, 1, side, side) -> latent (batch, *latent_shape)."""
        return self._latent(self._features(x), self.to_latent)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 1, side, side) -> its reconstruction, same shape; in eval mode within the inputs' range."""
        return self.decode(self.encode(x))


class ResidualVariationalAutoencoder(_ResidualTrunk, Variational):
    """Variational autoencoder of greyscale crops with the same trunk; Gaussian posterior, prior N(0, 1).

    With width 32 and one block it has 872,916 parameters with 128 latent channels, and 3,977,556 with a vector of 128
    dimensions.
    """

    def __init__(self, config: TrainConfig) -> None:
        super().__init__(config)
        self.to_logvar = _Transform(torch.zeros_like(self.to_latent.weight))
        nn.init.constant_(self.to_logvar.bias, LOGVAR_START)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, 1, side, side) -> mu and logvar of q(z|x), each (batch, *latent_shape)."""
        features = self._features(x)
        return self._latent(features, self.to_latent), self._latent(features, self.to_logvar)


class _ZeroConv2d(nn.Conv2d):
    """The last convolution of a branch, initially zero, so that the branch has no effect at first.

    Its weights are divided by 4 before use: else the first steps of Adam, all in one direction, outweigh the shortcut.
    """

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        bias = None if self.bias is None else self.bias / 4
        return self._conv_forward(x, self.weight / 4, bias)


class _Down(nn.Module):
    """(batch, c, h, w) -> (batch, 2c, h/2, w/2): half the channels, averaged plus convolved, then pixels moved."""

    def __init__(self, channels: int, copies: int) -> None:
        super().__init__()
        self.channels, self.copies = channels // 2, copies
        self.branch = _ZeroConv2d(channels, self.channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return _space_to_channels(_resize_channels(x, self.channels) + self.branch(x), self.copies)


class _Up(nn.Module):
    """(batch, c, h, w) -> (batch, c/2, 2h, 2w): pixels moved back, then twice the channels, copied plus convolved.

    The 3x3 convolution after the move overlaps the squares that come from one pixel: no checkerboard.
    """

    def __init__(self, channels: int, copies: int) -> None:
        super().__init__()
        self.channels, self.copies = channels // 2, copies
        self.branch = _ZeroConv2d(channels // 4, self.channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = _channels_to_space(x, self.copies)
        return _resize_channels(x, self.channels) + self.branch(x)


class _Transform(nn.Module):
    """A linear map that is initially a given matrix (out, in); its weights are stored `gain` times larger.

    Adam changes each weight by about the learning rate, whatever its size, so one step changes an output in proportion
    to the number of inputs (8192 for a latent vector). The gain compensates for that; convolutions need none.
    """

    def __init__(self, matrix: Tensor) -> None:
        super().__init__()
        self.gain = max(1.0, matrix.shape[1] / 32)
        self.weight = nn.Parameter(matrix * self.gain)
        self.bias = nn.Parameter(torch.zeros(len(matrix)))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight / self.gain, self.bias)


def _resize_channels(x: Tensor, channels: int) -> Tensor:
    """(batch, c, h, w) -> (batch, channels, h, w): copies of the channels, or the mean of the copies."""
    c = x.shape[1]
    if channels >= c:
        return torch.cat([x] * (channels // c), dim=1)
    return torch.stack(x.chunk(c // channels, dim=1)).mean(0)


def _space_to_channels(x: Tensor, copies: int = 1) -> Tensor:
    """(batch, c, h, w) -> (batch, 4c, h/2, w/2): the four pixels of a square follow each other within each copy.

    In the order of torch.nn.PixelUnshuffle, averaging would mix pixels instead of copies.
    """
    n, c, h, w = x.shape
    x = x.permute(0, 2, 3, 1).reshape(n, h // 2, 2, w // 2, 2, copies, c // copies)
    return x.permute(0, 1, 3, 5, 2, 4, 6).reshape(n, h // 2, w // 2, 4 * c).permute(0, 3, 1, 2)


def _channels_to_space(x: Tensor, copies: int = 1) -> Tensor:
    """(batch, 4c, h, w) -> (batch, c, 2h, 2w): the inverse of `_space_to_channels`."""
    n, c, h, w = x.shape
    x = x.permute(0, 2, 3, 1).reshape(n, h, w, copies, 2, 2, c // 4 // copies)
    return x.permute(0, 1, 4, 2, 5, 3, 6).reshape(n, 2 * h, 2 * w, c // 4).permute(0, 3, 1, 2)
