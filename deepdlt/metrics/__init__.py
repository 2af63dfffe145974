"""Reconstruction and original -> how far apart they are: PSNR, SSIM, spectra, waves, losses, terms of the ELBO."""

from deepdlt.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
