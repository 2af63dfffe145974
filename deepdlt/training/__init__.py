"""Crops and a `TrainConfig` -> a trained network: epochs with checkpoints and resume; evaluation of the network."""

from deepdlt.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
