"""Object stores (s3://, gs://, az://): their URLs, whole objects, and the hold of one process on a sweep in one."""

from deepdlt.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
