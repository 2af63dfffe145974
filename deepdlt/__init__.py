"""DeepDLT as a library: from SEM images of laser-textured surfaces to trained autoencoders and their metrics.

Names are imported when first used, so that `import deepdlt` needs no torch. `__init__.pyi` lists them, here and in
every package.
"""

from deepdlt.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
__version__ = "0.1.0"
