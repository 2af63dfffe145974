"""A misspelt file name: the hint names a file that no other row has."""

import numpy as np
import pytest
from PIL import Image

from deepdlt.errors import DataError
from deepdlt.images import read_source


def test_the_file_that_is_left_is_meant_not_one_that_has_its_row(tmp_path):
    rng = np.random.default_rng(0)
    names = [f"S{number:02d}.png" for number in range(6)]
    for name in names:
        Image.fromarray(rng.integers(0, 255, (80, 80), np.uint8)).save(tmp_path / name)
    rows = [name if name != "S05.png" else "S0S.png" for name in names]
    table = "\n".join(["file,power", *(f"{name},{number}" for number, name in enumerate(rows))])
    (tmp_path / "table.csv").write_text(table, encoding="utf-8")
    with pytest.raises(DataError, match=r"row 7: no such image: 'S0S.png' \(did you mean 'S05.png'\?\)"):
        read_source(tmp_path)
