"""Reconstruction and original -> how far apart they are: PSNR, SSIM, spectra, waves, losses, terms of the ELBO."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
