"""Process conditions of a simulated surface (one row of the label table), and the quantities that follow from them."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

# Lengths in um, fluence in J/cm2; "tuned" = by eye and by statistics beside real micrographs.
WAVELENGTH, PIXEL = 1.026, 40 / 1280  # wavelength; usual pitch of the micrographs
SPOT_RADIUS = 150.0  # 1/e^2 radius w0, "Spot size" in the label table
THRESHOLD, INCUBATION = 0.09, 0.87  # F_th(N) = F_th(1) N^(S-1) as in Opt. Express 22, 12200; both values tuned
SECOND_PULSE = 0.8  # share of the second pulse's energy that still acts after 500 ps; estimate
PATTERN_PEAK = {"V": 2.0, "H": 2.0, "D": 4.0}  # peak over mean of two- and four-beam interference
PATTERN_SHARE = {"V": 0.75, "H": 0.75, "D": 0.42}  # share of the energy that reaches the fringes; tuned
FIRST_PULSE = 1.5  # weight of the first of two pulses for the direction of the ripples; tuned by eye
MAX_SIDE = 8192  # pixels; larger images need more memory than usual machines have


@dataclass(frozen=True)
class Condition:
    """The process conditions of one image.

    angle_deg: half-angle of the interfering beams, (0, 90) degrees; pattern: 'V' or 'H' lines, 'D' dot lattice;
    n_pulses >= 1; energy_uj > 0: energy acting on the pattern, microjoule; polarization: 'H' or 'V';
    image_size: (height, width) in pixels of pixel_um micrometres; seed >= 0: the same seed gives the same image;
    flat_energy_uj >= 0: energy of the unpatterned pulse of a double pulse, microjoule, polarised flat_polarization;
    flat_first: True if the unpatterned pulse comes first.

    Raises: ValueError naming the field that is out of range.
    """

    angle_deg: float
    pattern: str
    n_pulses: int
    energy_uj: float
    polarization: str = "H"
    image_size: tuple[int, int] = (480, 640)
    pixel_um: float = PIXEL
    seed: int = 0
    flat_energy_uj: float = 0.0
    flat_polarization: str = "V"
    flat_first: bool = False

    def __post_init__(self) -> None:
        rules = {
            "angle_deg": (0 < self.angle_deg < 90, "in (0, 90)"),
            "pattern": (self.pattern in PATTERN_PEAK, "'V', 'H' or 'D'"),
            "n_pulses": (self.n_pulses >= 1, "at least 1"),
            "energy_uj": (self.energy_uj > 0, "positive"),
            "polarization": (self.polarization in ("H", "V"), "'H' or 'V'"),
            "image_size": (
                min(self.image_size) >= 32 and max(self.image_size) <= MAX_SIDE,
                f"32 to {MAX_SIDE} pixels high and wide",
            ),
            "pixel_um": (self.pixel_um > 0, "positive"),
            "flat_energy_uj": (self.flat_energy_uj >= 0, "at least 0"),
            "flat_polarization": (self.flat_polarization in ("H", "V"), "'H' or 'V'"),
        }
        for name, (holds, rule) in rules.items():
            if not holds:
                raise ValueError(f"`{name}` must be {rule}, got {getattr(self, name)!r}")

    @property
    def crossed(self) -> bool:
        """True if an unpatterned pulse of the other polarization makes its own ripples."""
        return self.flat_energy_uj > 0 and self.flat_polarization != self.polarization


class Truth(NamedTuple):
    """The result of a perfect analysis of the image.

    Periods in um; ripple_angle_deg is the direction of the ripples' ridges from the x axis.
    For pattern D, period_dlip_um is that of the projections on x and y; the lattice's own is sqrt(2) times as long.
    """

    period_dlip_um: float
    period_lipss_um: float
    ripple_angle_deg: float  # with crossed polarization, of the more frequent ripples
    fluence_ratio: float  # peak fluence over the incubated threshold
    ripple_share: float  # share of ripples in this direction at the mean intensity; 1 without crossed polarization


def acting_share(delay_ps: float) -> float:
    """Share of a second pulse's energy that still acts after `delay_ps` picoseconds, in (0, 1].

    Source: none; exponential decay through an estimate of 0.8 at 500 ps, the only delay of the published images.
    """
    return float(SECOND_PULSE ** (delay_ps / 500))


def mean_fluence(energy_uj: float) -> float:
    """Fluence in J/cm2 at the centre of a Gaussian beam of `energy_uj`. Source: F0 = 2E / (pi w0^2)."""
    return float(2 * energy_uj * 1e-6 / (np.pi * (SPOT_RADIUS * 1e-4) ** 2))


def peak_ratios(condition: Condition) -> tuple[float, float]:
    """Peak fluence over the incubated threshold, of the patterned and of the unpatterned pulse."""
    threshold = THRESHOLD * condition.n_pulses ** (INCUBATION - 1)
    patterned = mean_fluence(condition.energy_uj) * PATTERN_SHARE[condition.pattern] * PATTERN_PEAK[condition.pattern]
    return patterned / threshold, mean_fluence(condition.flat_energy_uj) / threshold


def ripple_share(condition: Condition, pattern: np.ndarray | float) -> np.ndarray | float:
    """Share of ripples with the direction of the patterned pulse, at the interference intensity `pattern`.

    `pattern`: intensity divided by its mean, 0 to PATTERN_PEAK. The share uses the squares of the two fluences, since
    the ripples of the stronger pulse suppress the others. Source: none; tuned by eye to images of crossed pulses.
    """
    if not condition.crossed:
        return 1.0
    peak, flat = peak_ratios(condition)
    patterned = peak / PATTERN_PEAK[condition.pattern] * pattern
    advantage = 1 / FIRST_PULSE if condition.flat_first else FIRST_PULSE
    return (advantage * patterned) ** 2 / ((advantage * patterned) ** 2 + flat**2)


def truth(condition: Condition) -> Truth:
    """Periods, ripple direction and fluence ratio from the process parameters.

    Source: two-beam interference, period = wavelength / (2 sin theta); ripples lie perpendicular to the polarization.
    """
    patterned, flat = peak_ratios(condition)
    share = float(ripple_share(condition, 1.0))
    dominant = condition.polarization if share >= 0.5 else condition.flat_polarization
    return Truth(
        period_dlip_um=float(WAVELENGTH / (2 * np.sin(np.radians(condition.angle_deg)))),
        period_lipss_um=float(WAVELENGTH * (0.88 - 0.05 * np.log10(condition.n_pulses / 10))),  # trend: estimate
        ripple_angle_deg=90.0 if dominant == "H" else 0.0,
        fluence_ratio=float(patterned + flat),
        ripple_share=max(share, 1 - share),
    )
