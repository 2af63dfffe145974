from . import losses as losses
from . import similarity as similarity
from .elbo import LatentMoments as LatentMoments
from .elbo import bits_per_dim as bits_per_dim
from .low_pass import lowpass_dct as lowpass_dct
from .spectra import spectrum_distance_db as spectrum_distance_db
from .waves import wave_error as wave_error
