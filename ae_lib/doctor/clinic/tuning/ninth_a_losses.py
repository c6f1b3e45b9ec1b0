"""Healthy programs on pictures: several terms, scales and features in the loss."""

import copy

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches, scenes
from ae_lib.doctor.clinic.parts import adam, conv, dense
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.ninth_a_parts import (
    ellipses,
    faces,
    fitted,
    gratings,
    rooms,
    smooth,
)


def ssim(a, b):
    """Return the structural similarity of two batches in windows of 7 pixels."""

    def blur(x):
        return F.avg_pool2d(x, 7, 1)

    ma, mb = blur(a), blur(b)
    va, vb = blur(a * a) - ma * ma, blur(b * b) - mb * mb
    cov = blur(a * b) - ma * mb
    light = (2 * ma * mb + 1e-4) / (ma * ma + mb * mb + 1e-4)
    return (light * (2 * cov + 9e-4) / (va + vb + 9e-4)).mean()


@healthy(steps=200, bar=0.5)
def ssim_beside_the_absolute_error(seed):
    """Mix 84 % of 1 - SSIM with 16 % of the absolute error."""
    model = conv((3, 16, 16), 40, act=nn.SiLU)

    def loss(output, target):
        return 0.84 * (1 - ssim(output, target)) + 0.16 * F.l1_loss(output, target)

    data = loader(patches(512, seed), batch_size=32, seed=seed)
    case = {"model": model, "batches": data, "loss": loss}
    return {**case, "optimizer": adam(model)}


@healthy(steps=30, bar=0.35)
def features_of_a_random_network(seed):
    """Compare features of a fixed random network beside pixels, with history."""
    x, y = scenes(640, seed)
    eye = nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 16, 3, 2))
    eye.requires_grad_(False)
    model = conv((3, 16, 16), 32)

    def loss(output, target):
        return F.mse_loss(output, target) + 0.5 * F.mse_loss(eye(output), eye(target))

    case = {
        "model": model,
        "batches": loader(x[:512], y[:512], batch_size=32, seed=seed),
    }
    case |= {"eval_batches": loader(x[512:], y[512:], shuffle=False), "loss": loss}
    return fitted({**case, "optimizer": adam(model, 4e-3)}, 20)


@healthy(steps=0, bar=0.4)
def critic_with_a_small_say(seed):
    """Add a critic of real and rebuilt digits with a weight of 0.002 (as in a GAN)."""
    x, _ = digits(1400, seed)
    model = dense((1, 28, 28), (256,), 24)
    critic = nn.Sequential(nn.Flatten(), nn.Linear(784, 64), nn.LeakyReLU(0.2))
    critic.append(nn.Linear(64, 1))
    optimizer, other = adam(model), torch.optim.Adam(critic.parameters(), 1e-4)

    def step(model, real):
        fake = model(real)
        judged = F.softplus(-critic(real)) + F.softplus(critic(fake.detach()))
        other.zero_grad()
        judged.mean().backward()
        other.step()
        loss = F.mse_loss(fake, real) + 0.002 * F.softplus(-critic(fake)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    case = {"model": model, "batches": loader(x[:1152], seed=seed), "step": step}
    case |= {"eval_batches": loader(x[1152:], shuffle=False), "optimizer": optimizer}
    case = fitted(case, 30)
    model.eval()
    return case


@healthy(bar=0.5)
def error_at_three_sizes(seed):
    """Add the squared errors of the picture and of its halves and quarters."""
    model = conv((3, 16, 16), 32, norm=True)

    def loss(output, target):
        total = F.mse_loss(output, target)
        for size in (2, 4):
            small = F.avg_pool2d(output, size), F.avg_pool2d(target, size)
            total = total + F.mse_loss(*small)
        return total / 3

    x, y = scenes(512, seed)
    data = loader(x, y, batch_size=32, seed=seed)
    optimizer = torch.optim.Adagrad(model.parameters(), 0.02)
    return {"model": model, "batches": data, "loss": loss, "optimizer": optimizer}


@healthy(steps=32, bar=0.4)
def charbonnier_and_slopes_of_depth(seed):
    """Fit scaled depth maps with a smooth absolute error of values and of slopes."""
    model = conv((1, 16, 16), 24, act=nn.ELU, last=None)

    def robust(error):
        return (error.square() + 1e-6).sqrt().mean()

    def loss(output, target):
        off = output - target
        slopes = robust(off.diff(dim=-1)) + robust(off.diff(dim=-2))
        return robust(off) + 0.2 * slopes

    data = loader(rooms(512, seed) / 5, batch_size=32, seed=seed)
    case = {"model": model, "batches": data, "loss": loss}
    case |= {"eval_batches": loader(rooms(128, seed + 61) / 5, shuffle=False)}
    return fitted({**case, "optimizer": adam(model, 4e-3)}, 16)


@healthy(steps=40, bar=0.4)
def spectrum_of_the_stripes(seed):
    """Compare spectra as well, for textures of fine stripes, with history."""
    model = conv((1, 16, 16), 32, act=nn.LeakyReLU)

    def loss(output, target):
        off = torch.fft.rfft2(output - target, norm="ortho").abs()
        return F.mse_loss(output, target) + 0.05 * off.mean()

    data = loader(gratings(768, seed), batch_size=32, seed=seed)
    case = {"model": model, "batches": data, "loss": loss}
    case |= {"eval_batches": loader(gratings(256, seed + 33), shuffle=False)}
    return fitted({**case, "optimizer": adam(model, 4e-3)}, 16)


class UnitNormals(nn.Module):
    """Return a unit vector for every pixel."""

    def __init__(self):
        super().__init__()
        self.inner = conv((3, 16, 16), 32, last=None)

    def forward(self, x):
        return F.normalize(self.inner(x), dim=1)


@healthy(bar=0.5)
def normals_by_the_angle(seed):
    """Rebuild surface normals, unit vectors with signs, by one minus the cosine."""
    height = smooth(512, 1, seed)[:, 0]
    slope_y, slope_x = torch.gradient(height, dim=(1, 2))
    normals = torch.stack([-slope_x, -slope_y, torch.full_like(height, 0.5)], 1)

    def loss(output, target):
        return 1 - F.cosine_similarity(output, target, dim=1).mean()

    model = UnitNormals()
    data = loader(F.normalize(normals, dim=1), batch_size=32, seed=seed)
    case = {"model": model, "batches": data, "loss": loss}
    return {**case, "optimizer": adam(model)}


class WithClass(nn.Module):
    """Read the digit from the code beside rebuilding the picture."""

    def __init__(self):
        super().__init__()
        self.inner = dense((1, 8, 8), (96,), 12, act=nn.GELU)
        self.head = nn.Linear(12, 10)

    def encode(self, x):
        return self.inner.encode(x)

    def forward(self, x):
        z = self.encode(x)
        return {"recon": self.inner.decode(z), "logits": self.head(z)}


@healthy(steps=0, bar=0.4)
def digit_read_from_the_code(seed):
    """Train a classifier on the code together with the autoencoder, to the end."""
    x, y = digits(1600, seed, 8)
    model = WithClass()
    optimizer = torch.optim.AdamW(model.parameters(), 4e-3)

    def step(model, batch):
        images, labels = batch
        output = model(images)
        loss = F.mse_loss(output["recon"], images)
        loss = loss + 0.01 * F.cross_entropy(output["logits"], labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    data = loader(x[:1280], y[:1280], seed=seed)
    case = {"model": model, "batches": data, "step": step, "optimizer": optimizer}
    case |= {"eval_batches": loader(x[1280:], y[1280:], shuffle=False)}
    case = fitted(case, 40)
    model.eval()
    return case


class Coarse(nn.Module):
    """Show what each stage of the decoder has so far."""

    def __init__(self):
        super().__init__()
        self.enc = conv((1, 16, 16), 24).encoder
        self.start = nn.Linear(24, 32 * 16)
        self.mid = nn.Sequential(nn.Conv2d(32, 16, 3, 1, 1), nn.ReLU())
        self.fine = nn.Sequential(nn.Conv2d(16, 16, 3, 1, 1), nn.ReLU())
        self.show = nn.ModuleList([nn.Conv2d(w, 1, 3, 1, 1) for w in (32, 16, 16)])

    def forward(self, x):
        h4 = F.relu(self.start(self.enc(x))).view(-1, 32, 4, 4)
        h8 = self.mid(F.interpolate(h4, scale_factor=2))
        h16 = self.fine(F.interpolate(h8, scale_factor=2))
        looks = [
            torch.sigmoid(f(h)) for f, h in zip(self.show, (h4, h8, h16), strict=True)
        ]
        return looks[2], looks[1], looks[0]


@healthy(steps=250, bar=0.4)
def every_stage_is_supervised(seed):
    """Return three sizes of the picture as a tuple and compare all of them."""
    model = Coarse()

    def loss(output, target):
        total = 0.0
        for weight, look in zip((1.0, 0.5, 0.25), output, strict=True):
            small = F.adaptive_avg_pool2d(target, look.shape[-1])
            total = total + weight * F.binary_cross_entropy(look, small)
        return total

    data = loader(ellipses(640, seed), batch_size=32, seed=seed)
    case = {"model": model, "batches": data, "loss": loss}
    return {**case, "optimizer": adam(model, 3e-3)}


@healthy(steps=0, bar=0.4)
def student_of_a_larger_network(seed):
    """Teach a small network the pictures and also the codes of a larger teacher."""
    x, test = faces(768, seed), faces(256, seed + 44)
    teacher, model = dense((1, 24, 24), (256,), 16), dense((1, 24, 24), (48,), 16)
    case = {"batches": loader(x, seed=seed)}
    case |= {"eval_batches": loader(test, shuffle=False)}
    fitted({**case, "model": teacher, "optimizer": adam(teacher)}, 20)
    teacher, optimizer = copy.deepcopy(teacher).eval(), adam(model, 4e-3)

    def step(model, batch):
        with torch.no_grad():
            wanted = teacher.encode(batch)
        z = model.encode(batch)
        loss = F.mse_loss(model.decode(z), batch) + 1e-3 * F.mse_loss(z, wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    case |= {"model": model, "step": step, "optimizer": optimizer}
    return fitted(case, 40)
