"""Loading, dividing and batching: on small files made here, in the real layouts."""

import gzip
import os
import pickle
import socket
import struct
import tarfile
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import safe_open

from ae_lib import data, files, sources
from ae_lib.data import (
    Images,
    batches,
    hold_out,
    load,
    loader,
    to_unit,
    with_mirrored,
)

ROOT = Path(data.__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def surroundings(tmp_path, monkeypatch):
    """A cache of its own, no data folder, and nothing announced so far."""
    monkeypatch.setenv("AE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("AE_DATA_DIR", str(tmp_path / "nothing"))
    monkeypatch.setattr(data, "_announced", set())


@pytest.fixture
def decoded(monkeypatch):
    """A list that grows by one with each picture decoded."""
    seen, real = [], files.decode
    for module in (files, sources):
        monkeypatch.setattr(
            module, "decode", lambda *args: seen.append(1) or real(*args)
        )
    return seen


def draw(label, number, size=32):
    """Return a picture that tells its label (red) and its number (green)."""
    picture = np.zeros((size, size, 3), np.uint8)
    picture[..., 0], picture[..., 1] = 20 * label, 5 * number
    picture[: size // 2, :, 2] = 255
    return picture


def make_folders(root, per_class=3, suffix="png", splits=("train", "test")):
    for split in splits:
        for label, name in enumerate(sources.CIFAR10):
            folder = root / split / name
            folder.mkdir(parents=True)
            for k in range(per_class):
                picture = Image.fromarray(draw(label, k + 10 * (split == "test")))
                picture.save(folder / f"{k:04}.{suffix}")
    return root


def make_batches(folder, n=4, protocol=2):
    """Write the batches as the original has them: rows of 3072, red first."""
    folder.mkdir(parents=True)
    for k, name in enumerate([*sources.BATCHES["train"], *sources.BATCHES["test"]]):
        labels = [(k + i) % 10 for i in range(n)]
        pictures = np.stack([draw(label, k) for label in labels])
        rows = pictures.transpose(0, 3, 1, 2).reshape(n, -1)
        content = {"data": rows, "labels": labels, "batch_label": name}
        (folder / name).write_bytes(pickle.dumps(content, protocol))


def make_idx(folder, n=6, pack=False):
    folder.mkdir(parents=True, exist_ok=True)
    for split, start in (("train", 0), ("t10k", 100)):
        values = np.arange(start, start + n, dtype=np.uint8)
        pixels = np.broadcast_to(values[:, None, None], (n, 28, 28))
        labels = (values % 10).tobytes()
        for name, content in {
            f"{split}-images-idx3-ubyte": struct.pack(">4i", 0x803, n, 28, 28)
            + pixels.tobytes(),
            f"{split}-labels-idx1-ubyte": struct.pack(">2i", 0x801, n) + labels,
        }.items():
            if pack:
                (folder / f"{name}.gz").write_bytes(gzip.compress(content))
            else:
                (folder / name).write_bytes(content)


def write_empty_png(path, side):
    """Write a PNG that claims a size and contains nothing."""
    content = b"\x89PNG\r\n\x1a\n"
    header = struct.pack(">2I5B", side, side, 8, 2, 0, 0, 0)
    for name, chunk in ((b"IHDR", header), (b"IDAT", b""), (b"IEND", b"")):
        content += struct.pack(">I", len(chunk)) + name + chunk
        content += struct.pack(">I", zlib.crc32(name + chunk))
    path.write_bytes(content)


def pack(folder, archive):
    with tarfile.open(archive, f"w:{archive.suffix[1:]}") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, path.name)
    return archive


def labels_agree(images):
    return torch.equal(images.pixels[:, 0, 0, 0].long(), 20 * images.labels)


def same(a, b):
    return torch.equal(a.pixels, b.pixels) and torch.equal(a.labels, b.labels)


# -------------------------------------------------------------------- CIFAR-10, layouts


def test_original_batches(tmp_path):
    make_batches(tmp_path / "cifar-10-batches-py")
    train, test = load(root=tmp_path), load(split="test", root=tmp_path)
    assert (train.source, train.name) == ("CIFAR-10 (original)", "cifar10")
    assert train.pixels.shape == (20, 3, 32, 32) and test.pixels.shape[0] == 4
    assert train.classes[:2] == ("airplane", "automobile") and not train.stand_in
    assert labels_agree(train) and labels_agree(test)
    batch_of = [0] * 4 + [1] * 4 + [2] * 4 + [3] * 4 + [4] * 4
    assert (train.pixels[:, 1, 0, 0] // 5).tolist() == batch_of
    assert train.pixels[0, 2, 0, 5] == 255 and train.pixels[0, 2, 31, 5] == 0
    assert (train.factors, train.masks) == ({}, None)


def test_the_archive_of_the_batches_is_the_same(tmp_path):
    make_batches(tmp_path / "a" / "cifar-10-batches-py", protocol=4)
    (tmp_path / "b").mkdir()
    pack(tmp_path / "a", tmp_path / "b" / "cifar-10-python.tar.gz")
    for split in ("train", "test"):
        in_folder = load(split=split, root=tmp_path / "a")
        in_archive = load(split=split, root=tmp_path / "b")
        assert same(in_folder, in_archive)
        assert in_archive.source == "CIFAR-10 (original)"


def test_batches_as_python_2_wrote_them(tmp_path):
    """The original batches: byte strings without a type, and numpy 1's own names."""
    folder = tmp_path / "cifar-10-batches-py"
    make_batches(folder)
    values = bytes(range(256)) * 12
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85U\1b\x87R"
        b"(K\1K\1M\0\x0c\x86cnumpy\ndtype\nU\2u1K\0K\1\x87R"
        b"(K\3U\1|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89"
        b"T\0\x0c\0\0" + values + b"tb"
    )
    batch = b"\x80\2}(U\4data" + array + b"U\6labels](K\7eu."
    (folder / "test_batch").write_bytes(batch)
    test = load(split="test", root=tmp_path)
    assert test.labels.tolist() == [7]
    assert test.pixels.flatten().tolist() == list(values)


def test_code_in_a_batch_is_not_run(tmp_path):
    class Attack:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "harmed"),)

    make_batches(tmp_path / "cifar-10-batches-py")
    batch = tmp_path / "cifar-10-batches-py" / "data_batch_3"
    batch.write_bytes(pickle.dumps({"data": Attack(), "labels": []}))
    with pytest.raises(ValueError, match="data_batch_3 is broken.*mkdir has no place"):
        load(root=tmp_path)
    assert not (tmp_path / "harmed").exists()


def test_a_missing_batch_is_named(tmp_path):
    make_batches(tmp_path / "cifar-10-batches-py")
    (tmp_path / "cifar-10-batches-py" / "data_batch_4").unlink()
    with pytest.raises(ValueError, match="lacks data_batch_4; delete it and get"):
        load(root=tmp_path)


@pytest.mark.parametrize("where", [".", "cifar10"])
@pytest.mark.parametrize("suffix, kind", [("png", "PNG"), ("jpg", "JPEG")])
def test_class_folders(tmp_path, where, suffix, kind):
    make_folders(tmp_path / where, suffix=suffix)
    train = load(root=tmp_path)
    assert train.source == f"CIFAR-10 ({kind} copy)"
    assert len(train) == 30 and train.labels.bincount().tolist() == [3] * 10
    assert (train.pixels[:, 0, 0, 0] - 20.0 * train.labels).abs().max() <= 3
    assert train.pixels[:, 1].max() < 30
    assert load(split="test", root=tmp_path).pixels[:, 1].min() > 30
    assert train.labels.tolist() != sorted(train.labels.tolist())


@pytest.mark.parametrize("ending", ["tar.xz", "tar.gz", "tar"])
def test_an_archive_of_class_folders_is_the_same(tmp_path, ending):
    folder = make_folders(tmp_path / "a")
    archive = tmp_path / f"cifar10-copy.{ending}"
    with tarfile.open(archive, "w:" + ending[4:]) as tar:
        for path in sorted(folder.rglob("*.png"), reverse=True):
            tar.add(path, f"./pictures/{path.relative_to(folder).as_posix()}")
    for split in ("train", "test"):
        found = load(split=split, root=tmp_path)
        assert found.source == "CIFAR-10 (PNG copy)"
        assert same(found, load(split=split, root=folder))


def test_other_class_folders_are_not_taken_for_cifar10(tmp_path):
    make_folders(tmp_path)
    (tmp_path / "train" / "truck").rename(tmp_path / "train" / "tram")
    assert load(limit=5, root=tmp_path).stand_in


def test_an_archive_of_other_classes_is_refused(tmp_path):
    folder = make_folders(tmp_path / "a", splits=("train",), per_class=1)
    (folder / "train" / "truck").rename(folder / "train" / "tram")
    pack(folder, tmp_path / "cifar10.tar.xz")
    with pytest.raises(ValueError, match="expected the classes of CIFAR-10.*tram"):
        load(root=tmp_path)


def test_nothing_in_an_archive_reaches_the_disk(tmp_path):
    folder = make_folders(tmp_path / "a", per_class=1)
    archive = tmp_path / "cifar10.tar.xz"
    with tarfile.open(archive, "w:xz") as tar:
        for path in sorted(folder.rglob("*.png")):
            tar.add(path, f"../../{path.relative_to(folder).as_posix()}")
        link = tarfile.TarInfo("train/truck/9999.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    before = sorted(tmp_path.parent.rglob("*"))
    assert len(load(root=tmp_path)) == 10
    made = set(tmp_path.parent.rglob("*")) - set(before)
    assert {p.relative_to(tmp_path).parts[0] for p in made} == {"cache"}


def test_a_truncated_archive_is_named(tmp_path):
    folder = make_folders(tmp_path / "a", per_class=1)
    archive = pack(folder, tmp_path / "cifar10.tar.gz")
    archive.write_bytes(archive.read_bytes()[:-200])
    with pytest.raises(ValueError, match=r"cifar10\.tar\.gz cannot be read.*get it"):
        load(root=tmp_path)


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "tar.xz", "tar.bz2"])
def test_an_archive_is_read_whole_or_refused(tmp_path, ending):
    """Wherever it is cut; with checksums, whichever bit is turned."""
    (tmp_path / "a").mkdir()
    generator = np.random.default_rng(0)
    for k in range(6):
        (tmp_path / "a" / f"{k}.png").write_bytes(generator.bytes(700))
    archive = pack(tmp_path / "a", tmp_path / f"x.{ending}")
    whole = archive.read_bytes()

    def read(content):
        archive.write_bytes(content)
        try:
            return [data for _, data in files.members(archive, ".*")]
        except ValueError as error:
            assert str(archive) in str(error) and "\n" not in str(error)
            assert "cannot be read" in str(error)

    complete = read(whole)
    assert len(complete) == 6
    end = len(whole.rstrip(b"\0")) if ending == "tar" else len(whole)
    cuts = [read(whole[:size]) for size in range(0, end, 1 + end // 150)]
    assert all(found is None for found in cuts)
    assert all(
        read(whole[:size]) in (None, complete) for size in range(end, len(whole), 512)
    )
    if ending != "tar":
        for place in generator.integers(0, len(whole), 100):
            turned = bytearray(whole)
            turned[place] ^= 1 << generator.integers(8)
            assert read(bytes(turned)) in (None, complete)


def test_a_damaged_header_does_not_end_the_archive(tmp_path):
    archive = tmp_path / "x.tar"
    make_folders(tmp_path / "a", per_class=1)
    pack(tmp_path / "a", archive)
    content = bytearray(archive.read_bytes())
    content[content.index(b"train/deer/0000.png") + 100] ^= 1
    archive.write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.tar cannot be read \(cut or damaged at"):
        list(files.members(archive, ".*"))


def test_too_large_a_file_in_an_archive_is_refused_unread(tmp_path):
    """A bomb: an archive of some kilobytes that claims, or holds, gigabytes."""
    archive = tmp_path / "cifar10.tar"
    with tarfile.open(archive, "w") as tar:
        info = tarfile.TarInfo("train/cat/0.png")
        info.size = 10**12
        tar.addfile(info)
    with pytest.raises(ValueError, match=r"cat/0\.png has 1,000,000,000,000 bytes"):
        load(root=tmp_path)


def test_a_bomb_in_gzip_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "MOST_BYTES", 10**6)
    make_idx(tmp_path, pack=True)
    bomb = gzip.compress(struct.pack(">4i", 0x803, 2000, 28, 28) + bytes(2000 * 784))
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(bomb)
    assert len(bomb) < 10_000
    with pytest.raises(ValueError, match=r"train-images.*over 1 million bytes unpa"):
        load("mnist", root=tmp_path)


def test_a_bomb_among_the_pictures_of_cifar10_is_named(tmp_path):
    make_folders(tmp_path / "a", splits=("train",), per_class=1)
    write_empty_png(tmp_path / "a" / "train" / "cat" / "0000.png", 30_000)
    pack(tmp_path / "a", tmp_path / "cifar10.tar.xz")
    with pytest.raises(ValueError, match="cat/0000.png is over 50 million pixels"):
        load(root=tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="the planted program is a shell script")
def test_a_program_in_a_picture_is_not_run(tmp_path, monkeypatch, capsys):
    """PostScript under the name of a PNG, for which Pillow would start Ghostscript."""
    from PIL import EpsImagePlugin

    (tmp_path / "bin").mkdir()
    planted = tmp_path / "bin" / "gs"
    planted.write_text(f"#!/bin/sh\ntouch '{tmp_path}/harmed'\n", encoding="utf-8")
    planted.chmod(0o755)
    monkeypatch.setenv("PATH", str(planted.parent), prepend=os.pathsep)
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)
    picture = tmp_path / "own" / "a.png"
    picture.parent.mkdir()
    picture.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 32 32\n")
    for k in range(2):
        Image.fromarray(draw(0, k)).save(picture.with_name(f"{k}.png"))
    load(tmp_path / "own")
    assert "left out 1 of 3 pictures: a.png (no picture" in capsys.readouterr().out
    assert not (tmp_path / "harmed").exists()
    with pytest.raises(OSError), Image.open(picture) as trusting:
        trusting.load()
    assert (tmp_path / "harmed").exists()  # the attack is a real one


def test_a_broken_picture_of_cifar10_is_named(tmp_path):
    make_folders(tmp_path)
    (tmp_path / "train" / "cat" / "0001.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"cat/0001\.png is no picture"):
        load(root=tmp_path)


# ------------------------------------------------------------------------------- MNIST


@pytest.mark.parametrize("where", ["MNIST/raw", "mnist", "."])
@pytest.mark.parametrize("packed", [False, True])
def test_mnist_files(tmp_path, where, packed):
    make_idx(tmp_path / where, pack=packed)
    train, test = (load("mnist", split, root=tmp_path) for split in ("train", "test"))
    assert train.pixels.shape == (6, 1, 28, 28)
    assert train.pixels[:, 0, 27, 27].tolist() == train.labels.tolist() == [*range(6)]
    assert test.pixels[:, 0, 0, 0].tolist() == [*range(100, 106)]
    assert (train.source, train.classes[7]) == ("MNIST", "7")


def test_mnist_archive(tmp_path):
    make_idx(tmp_path / "a" / "MNIST" / "raw")
    pack(tmp_path / "a", tmp_path / "mnist-idx.tar.xz")
    assert same(load("mnist", root=tmp_path), load("mnist", root=tmp_path / "a"))


def test_damaged_mnist_files_are_named(tmp_path):
    make_idx(tmp_path)
    images = tmp_path / "train-images-idx3-ubyte"
    images.write_bytes(images.read_bytes()[:-1])
    with pytest.raises(ValueError, match="train-images-idx3-ubyte is broken"):
        load("mnist", root=tmp_path)
    images.unlink()
    with pytest.raises(ValueError, match="lacks train-images-idx3-ubyte"):
        load("mnist", root=tmp_path)


# --------------------------------------------------------------------------- stand-ins


def test_a_stand_in_is_announced_once(tmp_path, capsys):
    first = load(limit=3)
    load(split="test", limit=3)
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert out.startswith("CIFAR-10 is not here")
    assert "stand-in 'shapes'" in out and "ae_lib.fetch cifar10" in out
    assert str(tmp_path) not in out and "nothing" not in out
    assert first.stand_in and first.name == "shapes"
    assert first.source == "shapes (stand-in for CIFAR-10)"
    (tmp_path / "nothing").mkdir()
    load("mnist", limit=3)
    assert "MNIST is not in the data folder: using" in capsys.readouterr().out


def test_asking_for_a_stand_in_is_not_announced(capsys):
    assert load("shapes", limit=3).stand_in and load("digits", limit=3).stand_in
    assert capsys.readouterr().out == ""


def test_shapes_bring_masks_and_factors():
    images = load("shapes", limit=12, size=16)
    assert images.masks.shape == (12, 16, 16)
    chosen = images[torch.tensor([7, 2])]
    assert torch.equal(chosen.masks, images.masks[[7, 2]])
    assert torch.equal(chosen.factors["hue"], images.factors["hue"][[7, 2]])
    assert not same(images, load("shapes", limit=12, size=16, seed=1))


def test_digits_are_divided_and_upsampled():
    train, test = load("digits"), load("digits", "test")
    assert (len(train), len(test), train.shape) == (1438, 359, (1, 28, 28))
    assert train.pixels.max() > 240 and train.pixels.min() == 0
    rows = torch.cat([train.pixels, test.pixels]).flatten(1).unique(dim=0)
    assert len(rows) == 1797
    assert train.labels.bincount().min() > 100
    assert len(load("digits", limit=10**6)) == 1438


def test_digits_keep_their_labels():
    """Test digits look like the mean of their own class more often than not."""
    train, test = load("digits"), load("digits", "test")
    x, y = train.unit().flatten(1), train.labels
    means = torch.stack([x[y == label].mean(0) for label in range(10)])
    nearest = torch.cdist(test.unit().flatten(1), means).argmin(1)
    assert (nearest == test.labels).double().mean() > 0.85


# ---------------------------------------------------------------- arguments and subsets


def test_limit_takes_a_random_subset_and_its_beginning(tmp_path):
    make_batches(tmp_path / "cifar-10-batches-py", n=40)
    whole = load(root=tmp_path)
    five, fifty = load(limit=5, root=tmp_path), load(limit=50, root=tmp_path)
    assert same(five, fifty[:5])
    assert not same(fifty, whole[:50])
    assert not same(fifty, load(limit=50, seed=1, root=tmp_path))
    assert labels_agree(fifty)
    everything = load(limit=200, root=tmp_path)
    assert not same(everything, whole)
    assert torch.equal(everything.labels.sort().values, whole.labels.sort().values)


def test_too_large_a_limit_says_how_many_there_are(tmp_path):
    make_batches(tmp_path / "cifar-10-batches-py")
    with pytest.raises(ValueError, match=r"has 20 train images, limit=21 asks"):
        load(limit=21, root=tmp_path)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"split": "validation"}, "split must be 'train' or 'test', got 'validation'"),
        ({"limit": 0}, "limit must be at least 1"),
        ({"size": 64}, "cifar10 has one size only"),
        ({"name": "cifar100"}, "there is no folder 'cifar100'"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        load(**arguments)


def test_the_data_folder_comes_from_the_environment(tmp_path, monkeypatch):
    make_batches(tmp_path / "cifar-10-batches-py")
    monkeypatch.setenv("AE_DATA_DIR", str(tmp_path))
    assert load().source == "CIFAR-10 (original)"
    monkeypatch.delenv("AE_DATA_DIR")
    assert data.data_folder() == ROOT / "data"


# ------------------------------------------------------------------------ own pictures


def test_a_flat_folder(tmp_path, capsys):
    folder = tmp_path / "my pictures"
    folder.mkdir()
    for k in range(10):
        Image.fromarray(draw(0, k, 48)).save(folder / f"{k}.png")
    (folder / "notes.txt").write_text("not a picture")
    (folder / "._0.png").write_bytes(b"left by macOS")
    train, test = load(str(folder)), load(str(folder), "test")
    assert (train.name, train.source) == ("my pictures", "folder my pictures")
    assert (len(train), len(test)) == (8, 2)
    assert train.classes == ("my pictures",) and not train.stand_in
    numbers = torch.cat([train.pixels, test.pixels])[:, 1, 0, 0] // 5
    assert sorted(numbers.tolist()) == [*range(10)]
    assert load(folder, size=16).shape == (3, 16, 16)
    assert capsys.readouterr().out == ""


def test_class_folders_of_one_s_own(tmp_path):
    for label, name in enumerate(["ants", "bees", "cats"]):
        (tmp_path / "zoo" / name).mkdir(parents=True)
        for k in range(5):
            picture = Image.fromarray(draw(label, k))
            picture.save(tmp_path / "zoo" / name / f"{k}.PNG")
    (tmp_path / "zoo" / "empty").mkdir()
    train = load(tmp_path / "zoo")
    assert train.classes == ("ants", "bees", "cats")
    assert len(train) == 12 and labels_agree(train)


def test_train_and_test_folders_of_one_s_own(tmp_path):
    for split, number in (("train", 1), ("test", 2)):
        (tmp_path / "own" / split).mkdir(parents=True)
        picture = Image.fromarray(draw(0, number))
        picture.save(tmp_path / "own" / split / "a.png")
    for split, number in (("train", 1), ("test", 2)):
        images = load(tmp_path / "own", split)
        assert (images.pixels[:, 1] == 5 * number).all()


def test_all_kinds_of_pictures_become_rgb_squares(tmp_path):
    folder = tmp_path / "own" / "train"
    folder.mkdir(parents=True)
    (tmp_path / "own" / "test").mkdir()
    wide = np.zeros((40, 120, 3), np.uint8)
    wide[:, 40:80] = (200, 100, 0)  # what a centred square sees
    grey = np.full((32, 32), 90, np.uint8)
    clear = np.zeros((32, 32, 4), np.uint8)
    deep = np.full((32, 32), 100 * 257, np.uint16)
    expected = {
        "wide.png": (wide, [200, 100, 0]),
        "grey.png": (grey, [90, 90, 90]),
        "clear.png": (clear, [255, 255, 255]),
        "deep.png": (deep, [100, 100, 100]),
    }
    for name, (array, _) in expected.items():
        Image.fromarray(array).save(folder / name)
    palette = Image.fromarray(wide).quantize(4)
    palette.save(folder / "palette.gif")
    images = load(tmp_path / "own")
    middles = sorted(images.pixels[:, :, 16, 16].tolist())
    wanted = [colour for _, colour in expected.values()] + [[200, 100, 0]]
    assert images.pixels.shape == (5, 3, 32, 32)
    assert np.abs(np.array(middles) - sorted(wanted)).max() <= 2


def test_photographs_are_turned_upright(tmp_path):
    """Cameras store the picture as it fell and the turn as a note (EXIF 274)."""
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[:, :32] = 255  # left half; to be turned by 90 degrees clockwise: top
    exif = Image.Exif()
    exif[274] = 6
    (tmp_path / "own").mkdir()
    for k in range(2):
        path = tmp_path / "own" / f"{k}.jpg"
        Image.fromarray(picture).save(path, exif=exif, quality=95)
    pixels = load(tmp_path / "own").pixels[0]
    assert pixels[:, 4].min() > 240 and pixels[:, 28].max() < 15


def test_broken_and_huge_pictures_are_left_out_and_named(tmp_path, capsys):
    folder = tmp_path / "own"
    folder.mkdir()
    for k in range(4):
        Image.fromarray(draw(0, k)).save(folder / f"{k}.png")
    whole = (folder / "0.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[:-30])
    (folder / "text.jpg").write_text("not a picture")
    write_empty_png(folder / "bomb.png", 30_000)
    write_empty_png(folder / "large.png", 8_000)
    images = load(folder)
    out = capsys.readouterr().out
    assert len(images) + len(load(folder, "test")) == 4
    assert out == (
        "folder own: left out 4 of 8 pictures: bomb.png (over 50 million pixels), "
        "cut.png (cut off or damaged), large.png (over 50 million pixels), "
        "text.jpg (no picture, whatever its name says)\n"
    )


def test_folders_without_usable_pictures_are_refused(tmp_path):
    (tmp_path / "none").mkdir()
    with pytest.raises(ValueError, match="holds no pictures"):
        load(tmp_path / "none")
    (tmp_path / "none" / "a.png").write_text("broken")
    with pytest.raises(ValueError, match="none of the 1 pictures in none can be read"):
        load(tmp_path / "none")
    Image.new("RGB", (9, 9)).save(tmp_path / "none" / "a.png")
    with pytest.raises(ValueError, match="one picture: a test split needs at least 2"):
        load(tmp_path / "none", "test")
    (tmp_path / "none" / "more").mkdir()
    Image.new("RGB", (9, 9)).save(tmp_path / "none" / "more" / "b.png")
    with pytest.raises(ValueError, match="pictures beside folders of pictures"):
        load(tmp_path / "none")


# --------------------------------------------------------------------------- the cache


def test_pictures_are_decoded_once(tmp_path, decoded):
    make_folders(tmp_path)
    first = load(root=tmp_path)
    assert len(decoded) == 30
    assert same(first, load(root=tmp_path)) and len(decoded) == 30
    assert load(root=tmp_path).source == "CIFAR-10 (PNG copy)"
    load(split="test", root=tmp_path)
    assert len(decoded) == 60


def test_a_changed_file_is_decoded_again(tmp_path, decoded):
    make_folders(tmp_path)
    load(root=tmp_path)
    path = tmp_path / "train" / "frog" / "0002.png"
    Image.fromarray(draw(6, 9)).save(path)
    os.utime(path, ns=(1, 1))
    again = load(root=tmp_path)
    assert len(decoded) == 60
    assert (again.pixels[:, 1] == 45).any()


def test_a_cache_that_cannot_be_written_does_no_harm(tmp_path, monkeypatch):
    make_folders(tmp_path)
    (tmp_path / "file").write_text("in the way of a folder")
    monkeypatch.setenv("AE_CACHE_DIR", str(tmp_path / "file" / "cache"))
    assert same(load(root=tmp_path), load(root=tmp_path))


def test_a_damaged_cache_is_made_anew(tmp_path):
    make_folders(tmp_path)
    first = load(root=tmp_path)
    (stored,) = (tmp_path / "cache").iterdir()
    stored.write_bytes(stored.read_bytes()[:1000])
    assert same(first, load(root=tmp_path))
    with safe_open(stored, "pt") as again:
        assert len(again.get_tensor("pixels")) == 30


def test_the_source_may_be_read_only(tmp_path):
    make_folders(tmp_path / "a")
    before = sorted((tmp_path / "a").rglob("*"))
    load(root=tmp_path / "a")
    assert sorted((tmp_path / "a").rglob("*")) == before


def test_several_may_fill_the_cache_at_once(tmp_path):
    make_folders(tmp_path)
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(load(root=tmp_path)))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6 and all(same(found[0], images) for images in found)
    assert [p.suffix for p in (tmp_path / "cache").iterdir()] == [".safetensors"]


# -------------------------------------------------------------------------- the images


@pytest.fixture(scope="module")
def images():
    """103 images whose first pixel is their number, and so is their label."""
    numbers = torch.arange(103, dtype=torch.uint8)
    pixels = numbers.view(-1, 1, 1, 1).repeat(1, 3, 4, 5)
    names = tuple(str(k) for k in range(103))
    return Images(pixels, numbers.long(), names, "own", "folder own", "train")


def test_selecting_images(images):
    assert len(images) == 103 and images.shape == (3, 4, 5)
    for rows, expected in [
        (slice(10, 13), [10, 11, 12]),
        (torch.tensor([5, 3]), [5, 3]),
        ([7, 7], [7, 7]),
        (images.labels > 100, [101, 102]),
        (-1, [102]),
        (np.int64(3), [3]),
    ]:
        chosen = images[rows]
        assert chosen.pixels[:, 0, 0, 0].tolist() == chosen.labels.tolist() == expected
        assert (chosen.name, chosen.split) == ("own", "train")
    with pytest.raises(IndexError):
        images[103]
    assert repr(images) == "Images(103 of 3 x 4 x 5, folder own, train)"


def test_mirrored_images_follow_their_originals():
    shapes = load("shapes", limit=6)
    both = with_mirrored(shapes)
    assert len(both) == 12 and both.source == shapes.source and both.factors == {}
    assert torch.equal(both.pixels[:6], shapes.pixels)
    assert torch.equal(both.pixels[6:, :, :, 0], shapes.pixels[..., -1])
    assert torch.equal(both.labels[6:], shapes.labels)
    assert torch.equal(both.masks[6:, :, 0], shapes.masks[..., -1])


def test_images_check_themselves(images):
    with pytest.raises(
        ValueError, match=r"must be uint8 of shape .* got torch.float32"
    ):
        Images(images.unit(), images.labels, (), "own", "own", "train")
    with pytest.raises(ValueError, match=r"labels of shape \(103,\), got \(7,\)"):
        Images(images.pixels, images.labels[:7], (), "own", "own", "train")


def test_unit_range(images):
    every = torch.arange(256, dtype=torch.uint8)
    assert to_unit(every).dtype == torch.float32
    assert torch.equal((to_unit(every) * 255).round().to(torch.uint8), every)
    assert to_unit(every)[[0, -1]].tolist() == [0, 1]
    assert torch.equal(images.unit(), to_unit(images.pixels))
    x = torch.rand(3, 4, generator=torch.Generator().manual_seed(0))
    assert to_unit(x) is x
    for kind in (torch.float16, torch.float64):
        assert to_unit(x.to(kind)).dtype == torch.float32
    assert len(to_unit(torch.empty(0))) == 0


@pytest.mark.parametrize(
    "pixels, got",
    [
        (torch.tensor([-1.0, 1.0]), r"float32 in \[-1, 1\]"),
        (torch.tensor([0.0, 255.0]), r"float32 in \[0, 255\]"),
        (torch.tensor([0, 1]), "int64"),
    ],
)
def test_other_ranges_are_not_guessed(pixels, got):
    with pytest.raises(ValueError, match=f"uint8 or float in .*, got {got}"):
        to_unit(pixels)
    with pytest.raises(ValueError, match="hold NaN"):
        to_unit(torch.tensor([0.5, float("nan")]))


def test_hold_out_is_disjoint_complete_and_seeded(images):
    train, validation = hold_out(images, 20)
    assert (len(train), len(validation)) == (83, 20)
    assert (train.split, validation.split) == ("train", "validation")
    both = torch.cat([train.labels, validation.labels])
    assert both.sort().values.tolist() == [*range(103)]
    assert torch.equal(train.pixels[:, 0, 0, 0].long(), train.labels)
    assert same(validation, hold_out(images, 20)[1])
    assert not same(validation, hold_out(images, 20, seed=1)[1])
    assert validation.labels.tolist() != [*range(20)]
    for n in (0, 103, 0.1):
        with pytest.raises(ValueError, match=f"from 1 to 102, got {n}; a tenth"):
            hold_out(images, n)


# ------------------------------------------------------------------------- the batches


def numbers(stream):
    return [batch[:, 0, 0, 0].tolist() for batch in stream]


def test_batches_hold_every_image_once(images):
    stream = numbers(batches(images.pixels, 25))
    assert [len(batch) for batch in stream] == [25, 25, 25, 25, 3]
    assert sorted(sum(stream, [])) == [*range(103)]
    plain = numbers(batches(images.pixels, 25, shuffle=False))
    assert sum(plain, []) == [*range(103)]


def test_batches_are_mixed_by_seed_and_epoch(images):
    orders = [
        tuple(sum(numbers(batches(images.pixels, 25, seed=seed, epoch=epoch)), []))
        for seed in range(3)
        for epoch in range(3)
    ]
    assert len(set(orders)) == 9 and tuple(range(103)) not in orders
    again = numbers(batches(images.pixels, 50, seed=2, epoch=1))
    assert tuple(sum(again, [])) == orders[7]
    assert tuple(data.epoch_order(103, seed=2, epoch=1).tolist()) == orders[7]


def test_items_are_their_own_targets(images):
    dataset = data.ReconstructionDataset(images)
    x, target = dataset[7]
    assert len(dataset) == 103
    assert x.dtype == torch.float32 and x.shape == (3, 4, 5)
    assert torch.equal(x, target) and torch.equal(x, images.unit()[7])


@pytest.mark.parametrize("shuffle", [True, False])
def test_the_loader_gives_the_batches_bit_for_bit(images, shuffle):
    feed = loader(images, 25, shuffle=shuffle, seed=3)
    assert len(feed) == 5
    for epoch in range(2):
        stream = batches(images.pixels, 25, shuffle=shuffle, seed=3, epoch=epoch)
        for (x, target), batch in zip(feed, stream, strict=True):
            assert torch.equal(x, to_unit(batch)) and torch.equal(x, target)


def test_torch_s_own_generator_is_left_alone(images):
    state = torch.get_rng_state()
    list(loader(images, 25))
    list(batches(images.pixels, 25))
    hold_out(images, 5)
    load("digits", limit=5)
    assert torch.equal(state, torch.get_rng_state())


def test_loading_opens_no_connection(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert len(load(limit=2)) == len(load("mnist", limit=2)) == 2
