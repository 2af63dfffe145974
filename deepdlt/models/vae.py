"""The study's convolutional variational autoencoder (its Table 7)."""

import torch
from torch import Tensor, nn

from deepdlt.config import TrainConfig
from deepdlt.models.autoencoder import CHANNELS, make_decoder, make_encoder


class Variational(nn.Module):
    """Base of the VAEs, with Gaussian posterior and prior N(0, 1); subclasses have `encode`, `decode`, `latent_shape`.

    Source: Kingma & Welling 2014.
    """

    latent_shape: tuple[int, ...]
    decoder_variance: float | None = None
    """Variance of an `optimal` likelihood; deepdlt.training.fit fits it to training crops, checkpoints keep it."""

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, 1, side, side) -> mu and logvar of q(z|x), each (batch, *latent_shape)."""
        raise NotImplementedError

    def decode(self, z: Tensor) -> Tensor:
        """Latent (batch, *latent_shape) -> (batch, 1, side, side)."""
        raise NotImplementedError

    def reparameterize(self, mu: Tensor, logvar: Tensor) -> Tensor:
        """A sample of N(mu, exp(logvar)) with gradients for both, (batch, *latent_shape)."""
        return mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)

    def sample(self, n: int) -> Tensor:
        """n images decoded from the prior N(0, 1), (n, 1, side, side)."""
        like = next(self.parameters())
        return self.decode(torch.randn(n, *self.latent_shape, device=like.device, dtype=like.dtype))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(batch, 1, side, side) -> reconstruction, mu, logvar. In eval mode z = mu, so validation is deterministic."""
        mu, logvar = self.encode(x)
        z = self.reparameterize(mu, logvar) if self.training else mu
        return self.decode(z), mu, logvar


class CNNVariationalAutoencoder(Variational):
    """Variational autoencoder of greyscale crops with a Gaussian latent vector.

    3,288,673 parameters with 3x3 kernels, latent_dim 128 and crops of 64x64; 12,725,857 with crops of 128x128.

    Source: the study, section 6.1 and Table 7.
    """

    def __init__(self, config: TrainConfig) -> None:
        super().__init__()
        self.feature_shape = (CHANNELS[-1], config.latent_side, config.latent_side)
        self.latent_shape = (config.latent_dim,)
        features = CHANNELS[-1] * config.latent_side**2
        self.encoder = make_encoder(config)
        self.fc_mu = nn.Linear(features, config.latent_dim)
        self.fc_logvar = nn.Linear(features, config.latent_dim)
        self.fc_decoder = nn.Linear(config.latent_dim, features)
        self.decoder = make_decoder(config)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, 1, side, side) -> mu and logvar of q(z|x), each (batch, latent_dim)."""
        features = self.encoder(x).flatten(1)
        return self.fc_mu(features), self.fc_logvar(features)

    def decode(self, z: Tensor) -> Tensor:
        """Latent (batch, latent_dim) -> (batch, 1, side, side) in [0, 1]."""
        return self.decoder(self.fc_decoder(z).unflatten(1, self.feature_shape))
