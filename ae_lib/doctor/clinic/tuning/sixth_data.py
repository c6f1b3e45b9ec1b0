"""Mistakes in what the loop consumes, rebuilt from a third round of questions.

Each program is written anew after the gist of its question, on small data of our own.
"""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, SubsetRandomSampler

from ae_lib.doctor.clinic.material import digits, loader, patches
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import adam, conv, dense, sgd
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.sixth_material import (
    Dcgan,
    PatchNet,
    PoolNet,
    block_net,
    paths,
    rings,
    tiles,
    written,
)


# Asked: bicubic resizing leaves values below 0; why is the loss NaN after sqrt?
@faulty("data.nonfinite", steps=120, bar=0.3)
def square_root_after_bicubic(seed, fixed):
    """Enlarge by bicubic interpolation, which overshoots below 0, and take the root."""
    x, y = digits(512, seed, size=8)
    x = F.interpolate(x, size=28, mode="bicubic")
    x = (x.clamp(0, 1) if fixed else x).sqrt()
    model = PoolNet(1, 6)
    data = loader(x, y, batch_size=32, seed=seed)
    return written(model, data, adam(model, 5e-3))


# Asked: the logit transform of flow papers gives inf for black and white pixels.
@faulty("data.nonfinite", steps=120, bar=0.4)
def logit_of_black_and_white(seed, fixed):
    """Map pixels to the real line by a logit; some are exactly 0 or 1."""
    x = (1.2 * tiles(384, seed) - 0.1).clamp(0, 1)
    x = torch.logit(0.05 + 0.9 * x if fixed else x)
    model = PatchNet(3, 32, 32)
    return written(model, loader(x, seed=seed), torch.optim.AdamW(model.parameters()))


# Asked: ToTensor divides by 255 and Normalize has 127.5 in it: all images look alike.
@faulty("data.scale", steps=120, bar=0.3)
def normalised_with_the_numbers_for_bytes(seed, fixed):
    """Take 127.5 off pixels that are in [0, 1] already and divide by it."""
    x = tiles(384, seed)
    x = (x - 0.5) / 0.5 if fixed else (x - 127.5) / 127.5
    return written(Dcgan(3, 24), loader(x, batch_size=32, seed=seed))


# Asked: audio read as 16-bit numbers; the loss is in the millions and stays there.
@faulty("data.scale", steps=250, bar=0.4)
def samples_of_a_wav_file(seed, fixed):
    """Feed sound as the whole numbers of -32,768 to 32,767 that a WAV file holds."""
    x = paths(512, seed) / 4
    x = x if fixed else (x * 32767).round()
    model = dense((80,), (64,), 12, act=nn.Tanh, last=None)
    return written(model, loader(x, batch_size=32, seed=seed), adam(model, 3e-3))


# Asked: "curriculum" by brightness; at the end only the bright images come out well.
@faulty("data.order", steps=96, bar=0.55)
def dark_ones_first_bright_ones_last(seed, fixed):
    """Sort the pictures by their brightness and never shuffle."""
    x = tiles(768, seed)
    x = x[x.mean((1, 2, 3)).argsort()]
    model = PatchNet(3, 32, 24)
    batches = loader(x, batch_size=32, shuffle=fixed, seed=seed)
    return written(model, batches, adam(model, 5e-3), judge=[x])


# Asked: the sampler of a debugging run was left in; test images are not reconstructed.
@faulty("data.order", accepts=("fit.overfit",), steps=300, bar=0.65)
def sampler_left_from_debugging(seed, fixed):
    """Leave a sampler in the loader that draws from the first 12 of 900 images."""
    x, _ = digits(900, seed, size=16)
    rows = SubsetRandomSampler(range(900 if fixed else 12), _coin(seed))
    batches = DataLoader(x, 12, sampler=rows)
    model = dense((1, 16, 16), (160,), 24, act=nn.GELU)
    return written(model, batches, adam(model), eval_batches=[x[640:]])


def _coin(seed):
    return torch.Generator().manual_seed(seed)


# Asked: augmentation draws anew for input and target, so three pairs in four differ.
@faulty("data.target", steps=200, bar=0.55)
def turned_by_two_dice(seed, fixed):
    """Turn input and target by quarters at random, each by a die of its own."""
    x = rings(448, seed, size=20)

    def turn(images, dice):
        turned = torch.stack([images.rot90(k, (2, 3)) for k in range(4)])
        return turned[dice, torch.arange(len(images))]

    def pair(images):
        one, two = torch.randint(4, (2, len(images)))
        return turn(images, one), turn(images, one if fixed else two)

    model = dense((1, 20, 20), (128,), 16, act=nn.ELU)
    case = written(model, loader(x, seed=seed), adam(model, 3e-3), pair=pair)
    return {**case, "judge": [x]}


# Asked: the loader gives (image, label) and the loss gets the label, spread by view.
@faulty("data.target", steps=150, bar=0.4)
def label_painted_over_the_picture(seed, fixed):
    """Spread the class number over a picture to please the loss, and learn that."""
    x, y = digits(640, seed, size=28)

    def pair(batch):
        image, label = batch
        flat = (label / 9).view(-1, 1, 1, 1).expand_as(image)
        return image, image if fixed else flat

    case = written(PoolNet(1, 4), loader(x, y, batch_size=32, seed=seed), pair=pair)
    return {**case, "judge": [x]}


# Asked: training a colouriser, the colour image is the *next* one of the folder.
@faulty("data.target", steps=200, bar=0.5)
def colours_of_the_neighbour(seed, fixed):
    """Ask for colours from grey, but roll the colour pictures by one within a batch."""
    x = tiles(448, seed)

    def pair(images):
        grey = images.mean(1, keepdim=True).expand(-1, 3, -1, -1) + 0.3 * images
        return grey, images if fixed else images.roll(1, 0)

    model = block_net((3, 32, 32), 32)
    case = written(model, loader(x, batch_size=32, seed=seed), adam(model), pair=pair)
    return {**case, "judge": [(pair(x)[0], x)]}


# Asked: my own reader of bitmaps shows slanted stripes; rows are padded to 32 bytes.
@faulty("data.layout", steps=150, bar=0.35)
def padding_of_the_rows_read_as_pixels(seed, fixed):
    """Read bitmaps of padded rows pixel after pixel: each row slides by four."""
    x = rings(448, seed)
    stored = F.pad(x, (0, 4)).flatten(1)  # (B, 28 * 32)
    x = x if fixed else stored[:, : 28 * 28].reshape(-1, 1, 28, 28)
    model = PoolNet(1, 2)
    return written(model, loader(x, batch_size=32, seed=seed), adam(model, 4e-3))


# Asked: torch.cat along the width, then view to (N, 1, H, W): strips of many images.
# Like: https://github.com/BonnBytes/PyTorch-FWD/issues/16 (reshaped while transposing)
@faulty("data.layout", steps=150, bar=0.35)
def stitched_side_by_side(seed, fixed):
    """Join the pictures along their width and view the result as a stack of them."""
    x = rings(448, seed)
    if not fixed:
        x = torch.cat(list(x), 2).reshape(448, 1, 28, 28)
    return written(PoolNet(1, 2), loader(x, batch_size=32, seed=seed))


# Asked: my own photographs of digits are padded, not resized; nothing is recognised.
# Like: https://github.com/LCAV/LenslessPiCam/issues/83 (loading differs from training)
@faulty("data.shift", steps=0, bar=0.4)
def padded_where_training_resized(seed, fixed):
    """Train on digits that fill the picture; show small ones inside a wide margin."""
    x, _ = digits(900, seed, size=28)
    model = dense((1, 28, 28), (128,), 32)
    case = written(model, loader(x[:768], seed=seed))
    train(case, 250)
    small = F.pad(F.interpolate(x[768:], size=12, mode="area"), (8, 8, 8, 8))
    return {**case, "eval_batches": [x[768:] if fixed else small]}


# Asked: deployed on images of another camera; the reconstruction is dull and offset.
# Like: https://github.com/mlpack/examples/pull/213 (test set prepared otherwise)
@faulty("data.shift", steps=0, bar=0.4)
def from_zero_to_one_here_centred_there(seed, fixed):
    """Train on pixels of mean 0 and deviation 1, judge on a quarter of plain pixels."""
    x = patches(576, seed, size=16)
    z = (x - x.mean()) / x.std()
    model = conv((3, 16, 16), 24, act=nn.SiLU, last=None)
    case = written(model, loader(z[:448], batch_size=32, seed=seed), adam(model, 3e-3))
    train(case, 200)
    return {**case, "eval_batches": [z[448:] if fixed else x[448:] / 4]}


# Asked: the noise schedule was read from the wrong end: what goes in is pure noise.
@faulty("noise.too-strong", steps=200, bar=0.3)
def schedule_from_the_wrong_end(seed, fixed):
    """Mix pictures with noise by the last entry of a diffusion schedule."""
    x = 2 * tiles(384, seed) - 1
    keep = torch.tensor(0.8 if fixed else 0.0004)

    def pair(images):
        noise = torch.randn_like(images)
        return keep.sqrt() * images + (1 - keep).sqrt() * noise, images

    model = PatchNet(3, 32, 48)
    data = loader(x, batch_size=32, seed=seed)
    return written(model, data, adam(model, 3e-3), pair=pair)


# Asked: 16 times super-resolution with an autoencoder gives the same blob each time.
@faulty("noise.too-strong", steps=250, bar=0.3)
def one_pixel_of_784_left(seed, fixed):
    """Ask for a ring from the mean brightness of the picture and a little noise."""
    x = rings(512, seed)

    def pair(images):
        size = 7 if fixed else 1
        few = F.adaptive_avg_pool2d(images, size)
        few = few + 0.02 * torch.randn_like(few)
        return F.interpolate(few, size=28, mode="nearest"), images

    model = dense((1, 28, 28), (128,), 16, act=nn.ELU)
    optimizer = sgd(model, 2.0, momentum=0.9)
    return written(model, loader(x, seed=seed), optimizer, pair=pair)
