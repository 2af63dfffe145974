"""Reconstruction and original -> their difference: PSNR, SSIM, spectra, dominant waves, losses, terms of the ELBO."""

from deepdlt.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
