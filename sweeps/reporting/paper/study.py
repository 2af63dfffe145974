"""The study's own cross-validation (its Tables 3 to 6), to stand beside that of a sweep that repeats it."""

from sweeps.store import SweepFile

IMAGES, FOLDS = 208, 5
LOSSES: dict[str, tuple[tuple[float, float, float], ...]] = {
    "angle": (
        (0.1819, 0.1754, 0.1860),
        (0.1819, 0.1804, 0.1842),
        (0.1821, 0.1766, 0.1846),
        (0.1825, 0.1764, 0.1820),
        (0.1821, 0.1771, 0.1840),
    ),
    "EP1": (
        (0.1820, 0.1786, 0.1847),
        (0.1826, 0.1752, 0.1820),
        (0.1821, 0.1786, 0.1839),
        (0.1821, 0.1772, 0.1828),
        (0.1820, 0.1774, 0.1861),
    ),
    "NP": (
        (0.1815, 0.1795, 0.1848),
        (0.1824, 0.1749, 0.1845),
        (0.1822, 0.1764, 0.1828),
        (0.1822, 0.1772, 0.1823),
        (0.1819, 0.1791, 0.1847),
    ),
    "PP1": (
        (0.1823, 0.1757, 0.1853),
        (0.1822, 0.1782, 0.1841),
        (0.1823, 0.1770, 0.1835),
        (0.1825, 0.1760, 0.1823),
        (0.1817, 0.1801, 0.1849),
    ),
}
"""Label -> training, validation and test loss of each fold."""
TITLES = ("Study: train", "Study: val", "Study: test")


def study_losses(sweep_file: SweepFile, label: str, n_folds: int) -> tuple[tuple[float, float, float], ...]:
    """The study's losses of a label, fold by fold; empty unless protocol, images and folds are the study's."""
    data = sweep_file.data
    same = sweep_file.protocol == "report" and data.images == IMAGES and not data.synthetic and n_folds == FOLDS
    return LOSSES.get(label, ()) if same else ()
