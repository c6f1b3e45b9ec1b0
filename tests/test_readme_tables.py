"""The README's tables of quality, of bytes and of speed are those of the records.

python tests/test_readme_tables.py    prints them, to be pasted after a new record
"""

import numpy as np
import pytest

from ae_lib import rate, results

# Published weights of tutorial 9 of the UvA deep learning course, 500 epochs, re-scored
# on a JPEG copy of the 10,000 test images.
UVA = {64: 21.70, 128: 24.18, 256: 27.22, 384: 29.37}
BYTES = (30, 60, 100, 200)
METHODS = ("network", "PCA", "JPEG", "WebP")


def quality() -> list[str]:
    """Lines of the table: latent_dim, PSNR of PCA, of the network, of UvA."""
    cells = results.load("sweep_cifar10")["data"]["cells"]
    long = results.load("sweep_cifar10_mirrored")["data"]["cells"]
    later = {cell["latent_dim"]: f"{cell['psnr']:.2f}" for cell in long}
    rows = results.load("rate_cifar10")["data"]["rows"]
    pca = {r["latent_dim"]: r["psnr"] for r in rows if r["method"] == "PCA"}
    lines = []
    for k in sorted({cell["latent_dim"] for cell in cells}):
        ours = [cell["psnr"] for cell in cells if cell["latent_dim"] == k]
        spread = f" ± {np.std(ours, ddof=1):.2f}" if len(ours) > 1 else ""
        theirs = f"{UVA[k]:.2f}" if k in UVA else ""
        mean, n = np.mean(ours), len(ours)
        row = f"| {k} | {pca[k]:.2f} | {mean:.2f}{spread} | {n} | {later.get(k, '')} |"
        lines.append(f"{row} {theirs} |")
    return lines


def in_bytes() -> list[str]:
    """Lines of the table: bytes without headers, PSNR of each method at as many."""
    data = results.load("rate_cifar10")["data"]
    points = {name: [] for name in METHODS}
    for row in data["rows"]:
        points[row["method"]] += row["rates"]["moved"]
    for name, places in data["codecs"].items():
        points[name.split(",")[0]] += places["moved"]
    lines = []
    for cost in BYTES:
        cells = (f"{rate.quality(points[name], cost):.1f}" for name in METHODS)
        cells = (cell.replace("nan", "") for cell in cells)  # no file is so small
        lines.append(f"| {cost} | " + " | ".join(cells) + " |")
    return lines


LOOPS = {
    "fit": "`fit`, bfloat16",
    "fit_float32": "`fit`, float32",
    "loop": "a plain loop",
    "loop_2_workers": "the same, `DataLoader` with 2 workers",
    "lightning": "Lightning's Trainer",
    "pythae": "pythae's trainer",
}


def speed() -> list[str]:
    """Lines of the table: images per second, and the time over that of `fit`."""
    rows = results.load("speed")["data"]["contenders"]
    lines = []
    for name, words in LOOPS.items():
        middle, low, high = rows[name]["times_longer"]
        ratio = "" if name == "fit" else f"{middle:.1f} ({low:.1f} to {high:.1f})"
        error = f"{rows[name]['mse']:.4f}"
        pace = f"{rows[name]['images_per_second']:,.0f}"
        lines.append(f"| {words} | {pace} | {ratio} | {error} |")
    return lines


@pytest.mark.parametrize("table", [quality, in_bytes, speed])
def test_the_readme_states_what_was_recorded(table, root):
    text = (root / "README.md").read_text(encoding="utf-8")
    lines = table()
    assert len(lines) >= 4
    assert "\n".join(lines) in text


def test_the_network_is_above_pca_at_every_recorded_size():
    cells = results.load("sweep_cifar10")["data"]["cells"]
    rows = results.load("rate_cifar10")["data"]["rows"]
    pca = {r["latent_dim"]: r["psnr"] for r in rows if r["method"] == "PCA"}
    for cell in cells:
        assert cell["psnr"] > pca[cell["latent_dim"]], cell["latent_dim"]


if __name__ == "__main__":
    print(*quality(), "", *in_bytes(), "", *speed(), sep="\n")
