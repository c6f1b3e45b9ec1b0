"""Healthy programs that look suspicious: trained models, codes and histories."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import digits, loader, patches
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import AE, adam, dense
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.sixth_fit import diary
from ae_lib.doctor.clinic.tuning.sixth_material import (
    Block,
    Dcgan,
    Gauss,
    PatchNet,
    block_net,
    distance,
    divergence,
    hills,
    paths,
    rings,
    tiles,
    written,
)
from ae_lib.doctor.clinic.tuning.sixth_terms import opened
from ae_lib.doctor.clinic.tuning.sixth_wiring import Grainy, quantised


# Asked: 60 % of my code is zero, are those units dead?
@healthy(steps=0, bar=0.6)
def most_of_the_code_at_rest(seed):
    """Penalise a rectified code of hills until most of it is zero at any time."""
    model = opened(64, 48)

    def loss(output, target):
        x_hat, (_, z, _) = output
        return F.mse_loss(x_hat, target) + 2e-4 * z.abs().sum(1).mean()

    case = written(model, loader(hills(640, seed), seed=seed), adam(model), loss=loss)
    train(case, 500)
    return case


# Asked: seven of ten latent units have a divergence of 0; the pictures are fine.
@healthy(steps=0, bar=0.5)
def seven_units_out_of_work(seed):
    """Give a VAE ten units for rings that have three numbers."""
    model = Gauss((1, 16, 16), 10)

    def loss(out, target):
        return (distance(out, target) / 0.05 + divergence(out).sum(1)).mean()

    x = rings(640, seed, size=16)
    case = written(model, loader(x, seed=seed), adam(model, 3e-3), loss=loss)
    train(case, 700)
    return case


# Asked: the loss has been flat for fifty epochs, is it stuck?
@healthy(steps=0, bar=0.8)
def nothing_left_to_learn(seed):
    """Show a long flat history of a network that has found all there is."""
    x = paths(640, seed, causes=6)
    model = dense((80,), (), 6, last=None)
    case = written(model, loader(x[:512], seed=seed), adam(model, 1e-2))
    case |= {"eval_batches": [x[512:]]}
    return {**case, "history": diary(case, 60, 8, x[512:])}


# Asked: validation loss lies below training loss; noise is added in training only.
@healthy(steps=0, bar=0.5)
def harder_to_train_than_to_test(seed):
    """Train on noisy input, validate on clean input: validation is the easier one."""
    x, _ = digits(900, seed, size=12)
    model = dense((1, 12, 12), (128,), 24, act=nn.SiLU)
    case = written(model, loader(x[:768], seed=seed), adam(model))

    def pair(images):
        return images + 0.15 * torch.randn_like(images), images

    kept = {"train_loss": [], "val_loss": []}
    for _ in range(50):
        losses = train({**case, "pair": pair}, 12)
        kept["train_loss"].append(sum(losses) / 12)
        with torch.no_grad():
            kept["val_loss"].append(F.mse_loss(model(x[768:]), x[768:]).item())
    return {**case, "pair": pair, "history": kept}


class Narrow(nn.Module):
    """Hand the noisy fine features over, and the whole picture through few numbers."""

    def __init__(self):
        super().__init__()
        self.top = nn.Conv2d(3, 12, 3, padding=1)
        self.down = nn.Sequential(nn.Conv2d(12, 16, 4, 4), nn.SiLU(), nn.Flatten())
        self.code = nn.Linear(16 * 64, 16)
        self.widen = nn.Sequential(nn.Linear(16, 16 * 64), nn.Unflatten(1, (16, 8, 8)))
        self.up = nn.ConvTranspose2d(16, 12, 4, 4)
        self.out = nn.Conv2d(24, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        a = F.silu(self.top(x))
        h = F.silu(self.up(F.silu(self.widen(self.code(self.down(a))))))
        return self.out(torch.cat([h, a], 1))


# Asked: skip connections in a denoiser, does it not just copy?
@healthy(steps=0, bar=0.6)
def skips_and_sixteen_numbers(seed):
    """Remove strong noise with a skip connection and a code that both are needed."""
    x = tiles(384, seed)

    def pair(images):
        return images + 0.5 * torch.randn_like(images), images

    model = Narrow()
    batches = loader(x, batch_size=32, seed=seed)
    case = written(model, batches, adam(model, 4e-3), pair=pair)
    train(case, 80)
    return case


class Correcting(nn.Module):
    """Estimate the noise and take it away."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(80, 64), nn.SiLU(), nn.Linear(64, 10))
        self.outer = nn.Sequential(nn.Linear(10, 64), nn.SiLU(), nn.Linear(64, 80))
        self.share = nn.Parameter(torch.tensor(0.5))

    def forward(self, x: Tensor) -> Tensor:
        return self.share * x + self.outer(self.inner(x))


# Asked: the network adds its output to the noisy input; residual learning is fine, no?
@healthy(steps=0, bar=0.6)
def correction_of_a_noisy_curve(seed):
    """Let a denoiser correct its noisy input."""
    x = paths(640, seed, causes=6)
    model = Correcting()
    case = written(model, loader(x, seed=seed), adam(model, 3e-3))
    case["pair"] = lambda rows: (rows + 0.7 * torch.randn_like(rows), rows)
    train(case, 400)
    return case


# Asked: three latent numbers, everybody says that is too few.
@healthy(steps=0, bar=0.7)
def few_numbers_for_a_hill(seed):
    """Describe a hill on a circle, of which only the place varies, by three numbers."""
    x = hills(768, seed)
    model = dense((64,), (128, 64), 3, act=nn.SiLU, last=None)
    case = written(model, loader(x, seed=seed), adam(model, 3e-3))
    train(case, 600)
    return case


# Asked: kernel 4, stride 2, no resize; is a checkerboard inevitable?
@healthy(steps=0, bar=0.6)
def fours_over_twos_after_training(seed):
    """Train the transposed convolutions of a well-known generator for long enough."""
    model = Dcgan(3, 32, last=nn.Sigmoid)
    case = written(model, loader(tiles(512, seed), batch_size=32, seed=seed))
    train(case, 220)
    return case


# Asked: the code has twice as many units as there are inputs. It is a denoiser.
@healthy(steps=0, bar=0.5)
def twice_as_wide_behind_a_mask(seed):
    """Hide half of the values from a network whose code is wider than its input."""
    x = hills(640, seed)
    model = dense((64,), (), 128, act=nn.ReLU, last=None)
    model.encoder.append(nn.ReLU())
    case = written(model, loader(x, seed=seed), adam(model, 3e-3))
    case["pair"] = lambda rows: (rows * (torch.rand_like(rows) > 0.5), rows)
    train(case, 600)
    return case


# Asked: my codebook uses 20 of 32 words after training; the rest is never chosen.
@healthy(steps=0, bar=0.5)
def words_that_nobody_says(seed):
    """Train a vector-quantised network in which some words stay unused."""
    x = tiles(384, seed, size=16)
    model = quantised(x, through=True)

    def loss(output, target):
        x_hat, z, word = output
        near = F.mse_loss(word, z.detach()) + 0.25 * F.mse_loss(z, word.detach())
        return F.mse_loss(x_hat, target) + near

    case = written(model, loader(x, seed=seed), adam(model, 4e-3), loss=loss)
    train(case, 350)
    return case


# Asked: noise on the code while training, none in eval; why do the losses differ?
@healthy(steps=0, bar=0.5)
def noise_on_the_code_in_training(seed):
    """Add noise to the code in training only, to make the decoder robust."""
    x = paths(512, seed, causes=5)
    plain = dense((80,), (64,), 24, act=nn.ELU, last=None)
    model = Grainy(plain.encoder, plain.decoder)
    model.always = False
    case = written(model, loader(x, seed=seed))
    train(case, 400)
    return case


# Asked: for ReLU units the contractive penalty needs no slopes but a mask; is it right?
@healthy(steps=300, bar=0.5)
def mask_of_rectifiers_in_the_jacobian(seed):
    """Penalise the Jacobian of one rectified layer: rows of the units that are on."""
    x = paths(512, seed, causes=5)
    model = opened(80, 24)
    model.encoder = nn.Sequential(nn.Linear(80, 24), nn.ReLU())

    def loss(output, target):
        x_hat, (z, _) = output
        rows = model.encoder[0].weight.square().sum(1)
        return F.mse_loss(x_hat, target) + 1e-4 * ((z > 0) * rows).sum(1).mean()

    return written(model, loader(x, seed=seed), adam(model, 3e-3), loss=loss)


# Asked: test photographs are a tenth brighter than those of training; retrain?
@healthy(steps=0, bar=0.5)
def a_little_brighter_in_the_test(seed):
    """Judge on photographs a twentieth brighter than those of the training."""
    x = patches(512, seed, size=16)
    model = PatchNet(3, 16, 48)
    case = written(model, loader(x[:384], seed=seed), adam(model, 3e-3))
    train(case, 300)
    return {**case, "eval_batches": [(1.05 * x[384:]).clamp(0, 1)]}


# Asked: after many epochs the pictures are still not quite sharp. How sharp is enough?
@healthy(steps=0, bar=0.75)
def almost_all_of_the_detail(seed):
    """Train a wide code of discs until their rims are there."""
    model = block_net((3, 32, 32), 96)
    model.decoder.insert(3, Block(16, nn.SiLU))
    batches = loader(tiles(320, seed), batch_size=32, seed=seed)
    case = written(model, batches, adam(model, 3e-3))
    train(case, 200)
    return case


# Asked: k-NN on ten features gives 95 %; the pixels 97 %. Did the code lose anything?
@healthy(steps=0, bar=0.5)
def ten_numbers_and_the_classes(seed):
    """Learn ten features of digits and pass the classes along."""
    x, y = digits(768, seed, size=8)
    encoder = nn.Sequential(
        nn.Flatten(), nn.Linear(64, 96), nn.SiLU(), nn.Linear(96, 10)
    )
    decoder = nn.Sequential(nn.Linear(10, 96), nn.SiLU(), nn.Linear(96, 64))
    model = AE(encoder, decoder.append(nn.Unflatten(1, (1, 8, 8))))
    case = written(model, loader(x, y, shuffle=False), adam(model), labels=y)
    train({**case, "batches": loader(x, seed=seed)}, 500)
    return case
