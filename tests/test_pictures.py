"""A folder of pictures: every file is read or named, copies stay together."""

import os
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from ae_lib import data, files, pictures


def scene(seed=0, width=96, height=96):
    """A smooth picture without symmetries."""
    noise = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


def plain(picture, size=64):
    """Read what is an upright RGB square already, with Pillow alone."""
    return np.asarray(picture.resize((size, size), Image.Resampling.LANCZOS), float)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "own").mkdir()
    return tmp_path / "own"


def far(images, wanted):
    return np.abs(images.pixels[0].permute(1, 2, 0).numpy() - wanted).max()


# --------------------------------------------------------------- what reading changes


@pytest.mark.parametrize("turn", range(1, 9))
def test_every_orientation_is_turned_upright(folder, turn):
    """What each number means: https://www.cipa.jp/std/documents/e/DC-008-2012_E.pdf."""
    picture = scene(width=96, height=64)
    stored = {
        1: picture,
        2: ImageOps.mirror(picture),
        3: picture.rotate(180),
        4: ImageOps.flip(picture),
        5: picture.transpose(Image.Transpose.TRANSPOSE),
        6: picture.rotate(90, expand=True),  # the top is stored at the left
        7: picture.transpose(Image.Transpose.TRANSVERSE),
        8: picture.rotate(-90, expand=True),
    }[turn]
    exif = Image.Exif()
    exif[files.TURN] = turn
    stored.save(folder / "a.png", exif=exif)
    found = pictures.read(folder, 64)
    assert far(found.images, plain(picture.crop((16, 0, 80, 64)))) <= 1
    notes = ("33% cropped off",)
    if turn > 1:
        notes = (f"turned upright, EXIF {turn}", *notes)
    assert found.notes == {"a.png": notes}


@pytest.mark.parametrize(
    ("name", "make", "note"),
    [
        ("a.gif", lambda p: p.quantize(256), "from a palette"),
        ("a.jpg", lambda p: p.convert("CMYK"), "from CMYK"),
        ("a.png", lambda p: p.convert("RGBA"), None),
        ("a.bmp", lambda p: p, None),
        ("a.webp", lambda p: p, None),
    ],
)
def test_the_same_picture_comes_out_of_each_kind_of_file(folder, name, make, note):
    picture = scene()
    make(picture).save(folder / name, **({"quality": 95} if name != "a.gif" else {}))
    found = pictures.read(folder)
    pixels = found.images.pixels[0].permute(1, 2, 0).numpy()
    assert np.abs(pixels - plain(picture)).mean() < 6
    assert found.notes.get(name, (None,))[0] == note


def test_grey_is_grey_at_8_and_at_16_bits(folder):
    grey = scene().convert("L")
    grey.save(folder / "8.png")
    Image.fromarray(np.asarray(grey).astype(np.uint16) * 257).save(folder / "16.png")
    found = pictures.read(folder)
    deep, flat = found.images.pixels.int()
    assert (deep - flat).abs().max() <= 1
    assert (flat == flat[:1]).all()
    brightest = int(np.asarray(grey).max()) * 257
    assert found.notes == {
        "16.png": (f"16 bit, the brightest {brightest:,}: upper 8 kept",),
        "8.png": ("grey",),
    }


def test_a_12_bit_sensor_in_a_16_bit_file_shows_in_the_report(folder):
    Image.fromarray(np.full((64, 64), 4095, np.uint16)).save(folder / "dark.png")
    found = pictures.read(folder)
    assert found.images.pixels.max() == 15
    assert "brightest 4,095" in str(found)


def test_who_knows_what_is_white_can_say_so(folder):
    grey = scene().convert("L")
    Image.fromarray(np.asarray(grey).astype(np.uint16) * 16).save(folder / "a.png")
    found = pictures.read(folder, 96, white=4_095)
    assert far(found.images, np.asarray(grey, float)[..., None]) <= 1
    brightest = int(np.asarray(grey).max()) * 16
    told = f"16 bit, the brightest {brightest:,}: 4,095 is white"
    assert found.notes == {"a.png": (told,)}
    brighter = pictures.read(folder, 96, white=1_023).images
    assert (brighter.pixels[0, 0] == 255).numpy().sum() == (
        np.asarray(grey) * 16.0 >= 1_020
    ).sum()
    for wrong in (0, 65_536):
        with pytest.raises(ValueError, match=f"1 to 65,535, got {wrong}"):
            pictures.read(folder, white=wrong)


def png_of_16_bits(path, rgb):
    """Write colours (H, W, 3) of 16 bits, which Pillow reads and cannot write."""
    height, width, _ = rgb.shape

    def chunk(kind, content):
        check = zlib.crc32(kind + content)
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)
        )

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in rgb)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("size", [64, 96])  # 96: nothing else has to be done to it
def test_colours_of_16_bits_are_noted_with_the_brightest(folder, size):
    rgb = np.asarray(scene()).astype(np.uint16)
    png_of_16_bits(folder / "dark.png", rgb * 16)
    png_of_16_bits(folder / "full.png", rgb * 257)
    found = pictures.read(folder, size)
    for name, unit in (("dark.png", 16), ("full.png", 257)):
        brightest = int(rgb.max()) * unit >> 8
        note = f"16-bit colours, the brightest {brightest} of 255: upper 8 kept"
        assert found.notes[name] == (note,)


def test_what_is_transparent_becomes_white(folder):
    picture = scene().convert("RGBA")
    alpha = np.full((96, 96), 255, np.uint8)
    alpha[:, 48:] = 0
    alpha[:, :8] = 128
    picture.putalpha(Image.fromarray(alpha))
    picture.save(folder / "a.png")
    found = pictures.read(folder, 96)
    pixels = found.images.pixels[0].permute(1, 2, 0).numpy().astype(float)
    rgb = np.asarray(scene(), float)
    assert (pixels[:, 48:] == 255).all()
    assert np.abs(pixels[:, 8:48] - rgb[:, 8:48]).max() <= 1
    assert np.abs(pixels[:, :8] - (rgb[:, :8] + 255) / 2).max() <= 2
    assert found.notes == {"a.png": ("transparent, now white there",)}


def test_small_and_wide_pictures_and_animations_are_noted(folder):
    scene(width=16, height=16).save(folder / "small.png")
    scene(width=192, height=96).save(folder / "wide.png")
    frames = [scene(k).quantize(16) for k in range(3)]
    frames[0].save(folder / "moves.gif", save_all=True, append_images=frames[1:])
    notes = pictures.read(folder).notes
    assert notes["small.png"] == ("enlarged 4.0 times",)
    assert notes["wide.png"] == ("50% cropped off",)
    assert notes["moves.gif"] == ("the first of several frames", "from a palette")


# ------------------------------------------------------------------- what is left out


def test_no_file_stops_the_reading(folder, monkeypatch):
    scene().save(folder / "good.jpg", quality=95)
    whole = (folder / "good.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "text.png").write_text("not a picture")
    (folder / "empty.png").write_bytes(b"")
    (folder / "phone.heic").write_bytes(whole)
    (folder / "README").write_text("mine")
    (folder / ".hidden.png").write_text("of no concern")
    Image.fromarray(np.full((9, 9), 0.5, np.float32)).save(folder / "float.tif")
    scene(width=200, height=200).save(folder / "large.png")
    monkeypatch.setattr(files, "MOST_PIXELS", 150 * 150)
    found = pictures.read(folder)
    assert found.names == ("good.jpg",) and len(found.images) == 1
    assert found.left_out == {
        "README": "no ending is no kind that is read",
        "cut.jpg": "cut off or damaged",
        "empty.png": "no picture, whatever its name says",
        "float.tif": "floating-point values of unknown range",
        "large.png": "over 0 million pixels",
        "phone.heic": ".heic is no kind that is read",
        "text.png": "no picture, whatever its name says",
    }
    lines = str(found).splitlines()
    assert lines[0].startswith("8 files: 1 pictures read at 64×64, 7 files left out")
    said = "left out: no picture, whatever its name says: empty.png, text.png"
    assert f"  {said}" in lines


def test_a_file_that_the_system_refuses_is_named_with_its_reason(folder, monkeypatch):
    scene().save(folder / "a.png")
    scene(1).save(folder / "b.png")
    opened = Image.open

    def refuse(file, **options):
        if file.name == "b.png":
            raise PermissionError(13, "Permission denied")
        return opened(file, **options)

    monkeypatch.setattr(Image, "open", refuse)
    left_out = pictures.read(folder).left_out
    assert left_out == {"b.png": "not readable: Permission denied"}


def test_notes_that_differ_in_a_number_are_one_line_with_the_extremes(folder):
    for k, width in enumerate((96, 120, 160, 480, 192)):
        scene(k, width, 96).save(folder / f"{k}.png")
    lines = str(pictures.read(folder)).splitlines()[1:]
    assert lines == ["  20% (1.png) to 80% (3.png) cropped off, 4 pictures"]
    scene(9, 480, 96).convert("L").save(folder / "9.png")
    deep = np.asarray(scene().convert("L")).astype(np.uint16)
    deep[0, 0] = 255
    for unit in (4, 257):
        Image.fromarray(deep * unit).save(folder / f"deep {unit}.png")
    assert str(pictures.read(folder)).splitlines()[1:] == [
        "  20% (1.png) to 80% (3.png) cropped off, 5 pictures",
        "  grey: 9.png",
        "  16 bit, the brightest 1,020 (deep 4.png) to 65,535 (deep 257.png): "
        "upper 8 kept, 2 pictures",
    ]


def test_many_of_a_kind_are_counted(folder):
    for k in range(5):
        scene(k).convert("L").save(folder / f"{k}.png")
    assert "  grey: 0.png, 1.png and 3 more" in str(pictures.read(folder))


def test_folders_in_the_folder_are_labels(folder):
    for name in ("a.png", "cats/b.png", "cats/old/c.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        scene(len(name)).save(folder / name)
    found = pictures.read(folder)
    assert found.names == ("a.png", "cats/b.png", "cats/old/c.png")
    assert found.images.classes == ("own", "cats", "cats/old")
    assert found.images.labels.tolist() == [0, 1, 2]


def test_it_reads_what_load_reads(folder):
    for k in range(6):
        scene(k, 70 + 9 * k, 80).save(folder / f"{k}.jpg")
    here = pictures.read(folder, 32).images.pixels
    both = [data.load(folder, split).pixels for split in ("train", "test")]
    rows = {tuple(image.flatten().tolist()) for image in torch.cat(both)}
    assert rows == {tuple(image.flatten().tolist()) for image in here}


def test_what_cannot_be_read_at_all_is_told(folder):
    with pytest.raises(ValueError, match="holds 0 files and no picture"):
        pictures.read(folder)
    for k in range(3):
        (folder / f"{k}.heic").write_bytes(b"photograph of a phone")
    (folder / "a.png").write_text("not a picture")
    why = r"4 files and no picture .*3 × \.heic is no kind .*; 1 × no picture, what"
    with pytest.raises(ValueError, match=why):
        pictures.read(folder)
    with pytest.raises(ValueError, match="no folder"):
        pictures.read(folder / "elsewhere")
    with pytest.raises(ValueError, match="8 or more, got 4"):
        pictures.read(folder, 4)


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_to_nowhere_is_no_file(folder):
    scene().save(folder / "a.png")
    (folder / "gone.png").symlink_to(folder / "nowhere.png")
    assert pictures.read(folder).names == ("a.png",)


# ---------------------------------------------------------------------- copies, groups


def test_copies_are_found_and_others_are_not(folder):
    for k in range(6):
        scene(k, 200, 200).save(folder / f"{k}.png")
    scene(2, 200, 200).save(folder / "again.jpg", quality=60)
    scene(4, 200, 200).resize((90, 90)).save(folder / "small.png")
    ImageOps.mirror(scene(1, 200, 200)).save(folder / "turned.png")
    found = pictures.read(folder)
    groups = dict(zip(found.names, pictures.alike(found.images).tolist(), strict=True))
    assert groups["again.jpg"] == groups["2.png"] == 2
    assert groups["small.png"] == groups["4.png"] == 4
    assert len(set(groups.values())) == 7


def test_small_things_on_one_ground_are_told_apart():
    """Within 0.02 of one another, each of them, and no copies."""
    x = torch.full((40, 3, 64, 64), 235, dtype=torch.uint8)
    for k in range(40):
        top, left = 8 + 8 * (k % 6), 4 + 8 * (k // 6)
        x[k, :, top : top + 6, left : left + 6] = 200
    random = torch.Generator().manual_seed(0)
    noise = torch.randint(-2, 3, (1, 3, 64, 64), generator=random)
    again = (x[7:8] + noise).to(torch.uint8)
    both = torch.cat([x, again])
    assert pictures.alike(both).tolist() == [*range(40), 7]
    assert len(pictures.alike(both, tolerance=0.02).unique()) < 40


def test_pictures_that_are_all_the_same_are_one_group():
    x = torch.full((5, 3, 16, 16), 200, dtype=torch.uint8)
    assert pictures.alike(x).tolist() == [0] * 5


def test_groups_are_chains_and_numbered_by_their_first():
    levels = torch.tensor([0.5, 0.1, 0.53, 0.515, 0.1, 0.9])
    x = levels[:, None, None, None].expand(-1, 3, 32, 32)
    assert pictures.alike(x).tolist() == [0, 1, 0, 0, 1, 5]
    assert pictures.alike(x, tolerance=0.001).tolist() == [0, 1, 2, 3, 1, 5]


def test_blocks_of_images_are_compared_with_all():
    x = torch.rand(600, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    x[599] = x[3]
    groups = pictures.alike(x, side=8)
    assert groups[599] == 3 and len(groups.unique()) == 599


@pytest.fixture
def images():
    pixels = torch.arange(40, dtype=torch.uint8)[:, None, None, None]
    labels = torch.zeros(40, dtype=torch.long)
    return data.Images(
        pixels.expand(-1, 3, 8, 8), labels, ("a",), "own", "folder own", "all"
    )


@pytest.mark.parametrize("seed", range(5))
def test_groups_stay_together(images, seed):
    groups = torch.arange(40) // 3
    train, held = pictures.hold_out(images, groups, 8, seed=seed)
    rows = [part.pixels[:, 0, 0, 0].long() for part in (train, held)]
    assert sorted(torch.cat(rows).tolist()) == [*range(40)]
    assert not set(groups[rows[0]].tolist()) & set(groups[rows[1]].tolist())
    assert 8 <= len(held) <= 10 and held.split == "validation"


def test_the_split_is_seeded(images):
    groups = torch.arange(40)
    splits = [pictures.hold_out(images, groups, 8, seed=s)[1] for s in (0, 0, 1)]
    assert torch.equal(splits[0].pixels, splits[1].pixels)
    assert not torch.equal(splits[0].pixels, splits[2].pixels)
    assert len(splits[0]) == 8


@pytest.mark.parametrize(
    ("groups", "n", "message"),
    [
        (torch.zeros(40), 8, "no image is left to train on: .* 1 groups"),
        (torch.zeros(39), 8, r"40 images, got shape \(39,\)"),
        (torch.arange(40), 0, "from 1 to 39"),
        (torch.arange(40), 40, "from 1 to 39"),
    ],
)
def test_splits_that_cannot_be_are_refused(images, groups, n, message):
    with pytest.raises(ValueError, match=message):
        pictures.hold_out(images, groups, n)
