"""The picture of the README: a semi-discrete map of a square to the points of a spiral, into docs/assets/map.png.

python docs/picture.py      after pip install '.[plot]'
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

import otgen

OUT = Path(__file__).with_name("assets") / "map.png"
N = 1_500


def spiral(n: int) -> np.ndarray:
    """n points along two turns and a half, with noise, (n, 2) in the unit square."""
    rng = np.random.default_rng(0)
    angle = np.sqrt(rng.uniform(0.06, 1.0, n)) * 5.0 * np.pi  # even along the curve, but for its ends
    radius = 0.44 * angle / (5.0 * np.pi)
    points = 0.5 + radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return points + rng.normal(scale=0.008, size=(n, 2))


def colours(y: np.ndarray) -> np.ndarray:
    """A colour for each target, by its direction and distance from the middle."""
    from matplotlib.colors import hsv_to_rgb

    away = y - 0.5
    hue = (np.arctan2(away[:, 1], away[:, 0]) / (2 * np.pi)) % 1.0
    far = np.linalg.norm(away, axis=1) / 0.46
    return hsv_to_rgb(np.stack([hue, 0.25 + 0.6 * np.clip(far, 0, 1), 0.95 - 0.35 * np.clip(far, 0, 1)], axis=1))


def main() -> None:
    """Fit, and draw cells beside targets; a cell and its target share a colour."""
    from matplotlib.collections import PolyCollection
    from matplotlib.figure import Figure
    from PIL import Image

    y = spiral(N)
    sd = otgen.SemiDiscreteOT().fit(y)
    shown = colours(y)
    figure = Figure(figsize=(9.0, 4.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.add_collection(PolyCollection([sd.cell(i) for i in range(N)], facecolors=shown, edgecolors="white", lw=0.25))
    right.scatter(*y.T, c=shown, s=11, linewidths=0)
    titles = f"a square: {N:,} cells of equal mass", "the points that they are mapped to"
    for axes, title in zip((left, right), titles):
        axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xticks=[], yticks=[])
        axes.set_title(title, fontsize=11)
    largest = sd.error_.max_relative
    figure.suptitle(
        f"SemiDiscreteOT().fit(y): W2 = {np.sqrt(sd.value_.low):.4f}, proven: no cell's mass is off by more than "
        f"{largest:.0e} of it",
        fontsize=11,
    )
    OUT.parent.mkdir(exist_ok=True)
    plain = io.BytesIO()
    figure.savefig(plain, dpi=100)
    with Image.open(plain) as image:  # a palette is a third of the size
        image.convert("RGB").quantize(192).save(OUT, optimize=True)
    print(f"{OUT}: {OUT.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
