"""What TensorBoard shows of a sweep: columns, charts, pictures of the same crops, pages of text, maps of latents."""

from deepdlt.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
