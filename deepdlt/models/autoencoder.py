"""The study's convolutional autoencoder (its Table 1).

Layer order and indices are those of the study's checkpoints: encoder.0 .1 .5 .6 .10 .11, decoder.0 .1 .3 .4 .6.
"""

from collections.abc import Callable

from torch import Tensor, nn

from deepdlt.config import TrainConfig

CHANNELS = (32, 64, 128)

_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "selu": nn.SELU,
    "elu": nn.ELU,
    "leaky_relu": lambda: nn.LeakyReLU(0.1),
    "silu": nn.SiLU,
}


def activation(config: TrainConfig) -> nn.Module:
    """A new instance of the configured nonlinearity."""
    return _ACTIVATIONS[config.activation]()


class Encoder(nn.Sequential):
    """Blocks of convolution, batch norm, activation, dropout, pool, computed with the pooling before the activation.

    The result is identical to the last bit: the maximum commutes with a non-decreasing function, and with the factor
    >= 0 by which dropout scales a whole channel. Activation and dropout then process a quarter of the pixels. SiLU is
    not monotonic, so its blocks are computed in the written order.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 1, side, side) -> (batch, 128, side/8, side/8)."""
        layers = list(self)
        for block in range(0, len(layers), 5):
            convolution, norm, activate, dropout, pool = layers[block : block + 5]
            x = norm(convolution(x))
            falls = isinstance(activate, nn.SiLU)
            x = pool(dropout(activate(x))) if falls else dropout(activate(pool(x)))
        return x


def make_encoder(config: TrainConfig) -> Encoder:
    """(batch, 1, side, side) -> (batch, 128, side/8, side/8).

    Three blocks of convolution, batch norm, activation, dropout, pool.
    """
    layers: list[nn.Module] = []
    channels_in = 1
    for channels in CHANNELS:
        layers += [
            nn.Conv2d(channels_in, channels, config.kernel_size, padding=config.kernel_size // 2),
            nn.BatchNorm2d(channels),
            activation(config),
            nn.Dropout2d(config.dropout),
            nn.MaxPool2d(2),
        ]
        channels_in = channels
    return Encoder(*layers)


def make_decoder(config: TrainConfig) -> nn.Sequential:
    """(batch, 128, side/8, side/8) -> (batch, 1, side, side) in [0, 1]: transposed convolutions that double the side.

    Kernels 2x2, whose outputs do not overlap (the study's code and Table 7), or 3x3 (its Table 1).
    """

    def doubling(channels_in: int, channels: int) -> nn.Module:
        extra = config.decoder_kernel_size - 2
        return nn.ConvTranspose2d(
            channels_in, channels, config.decoder_kernel_size, stride=2, padding=extra, output_padding=extra
        )

    return nn.Sequential(
        doubling(CHANNELS[2], CHANNELS[1]),
        nn.BatchNorm2d(CHANNELS[1]),
        activation(config),
        doubling(CHANNELS[1], CHANNELS[0]),
        nn.BatchNorm2d(CHANNELS[0]),
        activation(config),
        doubling(CHANNELS[0], 1),
        nn.Sigmoid(),
    )


class CNNAutoencoder(nn.Module):
    """Convolutional autoencoder of greyscale crops; its weights suit crops of any side.

    134,497 parameters with 3x3 encoder kernels, 298,849 with 5x5; with 3x3 decoder kernels 185,857 and 350,209. The
    latent of a crop of 64x64 has 128x8x8 = 8192 dimensions, twice as many as the crop has pixels: it denoises, but does
    not compress.

    Source: the study, section 3.1 and Table 1.
    """

    def __init__(self, config: TrainConfig) -> None:
        super().__init__()
        self.latent_shape = (CHANNELS[-1], config.latent_side, config.latent_side)
        self.encoder = make_encoder(config)
        self.decoder = make_decoder(config)

    def encode(self, x: Tensor) -> Tensor:
        """(batch, 1, side, side) -> latent (batch, 128, side/8, side/8)."""
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        """Latent (batch, 128, side/8, side/8) -> (batch, 1, side, side) in [0, 1]."""
        return self.decoder(z)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 1, side, side) -> its reconstruction, same shape, in [0, 1]."""
        return self.decode(self.encode(x))
