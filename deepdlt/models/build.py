"""`config.model` -> the network of that name."""

from torch import nn

from deepdlt.config import TrainConfig
from deepdlt.models.autoencoder import CNNAutoencoder
from deepdlt.models.initialisation import match_weights
from deepdlt.models.residual import ResidualAutoencoder, ResidualVariationalAutoencoder
from deepdlt.models.vae import CNNVariationalAutoencoder

_MODELS: dict[str, type[nn.Module]] = {
    "cnn_ae": CNNAutoencoder,
    "cnn_vae": CNNVariationalAutoencoder,
    "res_ae": ResidualAutoencoder,
    "res_vae": ResidualVariationalAutoencoder,
}


def build_model(config: TrainConfig) -> nn.Module:
    """A new network of type `config.model`, with initial weights (`config.init`) from torch's global generator."""
    model = _MODELS[config.model](config)
    if config.init == "matched":
        match_weights(model, config.activation)
    return model
