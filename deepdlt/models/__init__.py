"""The report's two networks and their residual successors, built from a TrainConfig."""

from torch import nn

from deepdlt.config import TrainConfig
from deepdlt.models.autoencoder import CNNAutoencoder
from deepdlt.models.initialisation import match_weights
from deepdlt.models.residual import ResidualAutoencoder, ResidualVariationalAutoencoder
from deepdlt.models.vae import CNNVariationalAutoencoder

__all__ = [
    "CNNAutoencoder",
    "CNNVariationalAutoencoder",
    "ResidualAutoencoder",
    "ResidualVariationalAutoencoder",
    "build_model",
]

_MODELS: dict[str, type[nn.Module]] = {
    "cnn_ae": CNNAutoencoder,
    "cnn_vae": CNNVariationalAutoencoder,
    "res_ae": ResidualAutoencoder,
    "res_vae": ResidualVariationalAutoencoder,
}


def build_model(config: TrainConfig) -> nn.Module:
    """The network that `config.model` names, with fresh weights (`config.init`) from the global torch generator."""
    model = _MODELS[config.model](config)
    if config.init == "matched":
        match_weights(model, config.activation)
    return model
