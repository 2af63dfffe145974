"""Crops and a `TrainConfig` -> a trained network: epochs with checkpoints, resumed where they were; its evaluation."""

from deepdlt.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
