"""The report's two networks, built from a TrainConfig."""

from torch import nn

from deepdlt.config import TrainConfig
from deepdlt.models.autoencoder import CNNAutoencoder
from deepdlt.models.vae import CNNVariationalAutoencoder

__all__ = ["CNNAutoencoder", "CNNVariationalAutoencoder", "build_model"]


def build_model(config: TrainConfig) -> nn.Module:
    """The network that `config.model` names, with fresh weights from the global torch generator."""
    return {"cnn_ae": CNNAutoencoder, "cnn_vae": CNNVariationalAutoencoder}[config.model](config)
