"""Checked images -> a few lines for people: how many, which sizes, which values each label has."""

from collections import Counter

import pandas as pd

from deepdlt.label_columns import OWN_COLUMNS


def summary(
    images: pd.DataFrame, sizes: tuple[tuple[int, int], ...], labels: tuple[str, ...], notes: tuple[str, ...]
) -> str:
    """What was read, for people."""
    skip = (*OWN_COLUMNS, "Names")
    shapes = ", ".join(f"{w}x{h} ({n})" for (w, h), n in Counter(sizes).most_common(5))
    lines = [
        f"images      {len(images)}",
        f"sizes       {shapes}",
        f"conditions  {images['condition'].nunique()}",
        "labels",
    ]
    names = list(labels) or [c for c in images.columns if c not in skip]
    for name in names:
        values = images[name]
        counts = values.value_counts().sort_index()
        number = pd.api.types.is_numeric_dtype(values)
        if len(counts) <= 8:
            text = ", ".join(f"{value if number else repr(value)} ({n})" for value, n in counts.items())
        elif number:
            text = f"{len(counts)} numbers, {values.min():g} to {values.max():g}"
        else:
            text = f"{len(counts)} classes, the largest {counts.idxmax()!r} ({counts.max()})"
        lines.append(f"  {name:<{max(map(len, names))}}  {text}")
    return "\n".join([*lines, *(f"note: {note}" for note in notes)])


def size_notes(images: pd.DataFrame, sizes: tuple[tuple[int, int], ...]) -> list[str]:
    """Which sizes there are, with an example of each but the most frequent, if more than one."""
    counts = Counter(sizes).most_common(5)
    if len(counts) < 2:
        return []
    examples = [f"{w}x{h} ({n}, such as {images.at[sizes.index((w, h)), 'file']!r})" for (w, h), n in counts]
    return [f"images differ in size: {', '.join(examples)}"]
