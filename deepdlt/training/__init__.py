"""Crops and a `TrainConfig` -> a trained network: epochs with checkpoints, resumed where they were; its evaluation."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
