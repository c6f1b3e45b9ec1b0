"""Healthy programs on pictures after training: what is kept, frozen, averaged."""

import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations, prune
from torch.optim import lr_scheduler
from torch.optim.swa_utils import AveragedModel, update_bn

from ae_lib.doctor.clinic.material import digits, loader, patches, scenes
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import AE, adam, conv, dense
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.ninth_a_parts import (
    bumps,
    ellipses,
    faces,
    fitted,
    grid,
    made,
    satellite,
    validated,
)


@healthy(steps=0, bar=0.5)
def rate_annealed_to_nothing(seed):
    """Let a cosine schedule take the rate to almost zero by the last epoch."""
    model = dense((1, 24, 24), (160,), 16, act=nn.GELU)
    optimizer = adam(model, 4e-3)
    cosine = lr_scheduler.CosineAnnealingLR(optimizer, 50, eta_min=1e-6)
    case = {"model": model, "batches": loader(faces(768, seed), seed=seed)}
    case |= {"eval_batches": loader(faces(256, seed + 3), shuffle=False)}
    case |= {"optimizer": optimizer}

    def before(epoch):
        if epoch:
            cosine.step()

    case = fitted(case, 50, before=before)
    cosine.step()
    model.eval()
    return case


@healthy(steps=0, bar=0.4)
def mean_of_the_last_epochs(seed):
    """Average the weights of the last epochs (SWA) and renew the batch statistics."""
    x, y = scenes(768, seed)
    model = conv((3, 16, 16), 32, norm=True, width=12)
    case = {"batches": loader(x[:640], y[:640], batch_size=32, seed=seed)}
    case |= {"eval_batches": loader(x[640:], y[640:], shuffle=False)}
    case |= {"optimizer": adam(model, 4e-3)}
    fitted({**case, "model": model}, 8)
    average = AveragedModel(model)
    history = {"train_loss": [], "val_loss": []}
    for _ in range(8):
        one = fitted({**case, "model": model}, 1)["history"]
        average.update_parameters(model)
        history = {name: history[name] + one[name] for name in history}
    update_bn(case["batches"], average)
    history["val_loss"][-1] = validated({**case, "model": average})
    average.eval()
    return {"model": average, "batches": case["batches"]} | {
        "eval_batches": case["eval_batches"],
        "history": history,
    }


class KeptAsIs(AE):
    """Keep the encoder in eval mode, whatever is asked of the network."""

    def train(self, mode=True):
        super().train(mode)
        self.encoder.eval()
        return self


@healthy(steps=40, bar=0.4)
def frozen_statistics_of_old_pictures(seed):
    """Freeze an encoder of photographs with its batch norms; decode scenes from it."""
    old, (x, y) = conv((3, 16, 16), 64, norm=True), scenes(640, seed)
    photos = loader(patches(320, seed), batch_size=32, seed=seed)
    train({"model": old, "batches": photos, "optimizer": adam(old)}, 60)
    model = KeptAsIs(old.encoder.requires_grad_(False), conv((3, 16, 16), 64).decoder)
    optimizer = torch.optim.Adam(model.decoder.parameters(), 3e-3)
    case = {"batches": loader(x[:512], y[:512], batch_size=32, seed=seed)}
    case |= {"eval_batches": loader(x[512:], y[512:], shuffle=False)}
    return fitted({**case, "model": model, "optimizer": optimizer}, 16)


@healthy(steps=0, bar=0.4)
def last_batch_of_two_and_sorted_test(seed):
    """Judge on sorted test digits, 5 at a time; the last training batch has 2."""
    x, y = digits(1700, seed, 16)
    model = conv((1, 16, 16), 24, norm=True, width=12)
    sort = y[1282:].argsort(stable=True) + 1282
    case = {"batches": loader(x[:1282], y[:1282], seed=seed)}
    case |= {"eval_batches": loader(x[sort], y[sort], batch_size=5, shuffle=False)}
    case = fitted({**case, "model": model, "optimizer": adam(model)}, 14)
    model.eval()
    return case


@healthy(steps=0, bar=0.5)
def test_set_with_the_training_statistics(seed):
    """Standardise training and test tiles by the statistics of the training tiles."""
    x, test = satellite(512, seed), satellite(128, seed + 77)
    mean, std = x.mean((0, 2, 3), keepdim=True), x.std((0, 2, 3), keepdim=True)
    x, test = (x - mean) / std, (test - mean) / std
    encoder = nn.Sequential(nn.Conv2d(6, 24, 3, 2, 1), nn.ELU())
    encoder += nn.Sequential(nn.Conv2d(24, 24, 3, 2, 1), nn.ELU(), nn.Conv2d(24, 4, 1))
    decoder = nn.Sequential(nn.Conv2d(4, 24, 3, 1, 1), nn.ELU(), nn.Upsample(None, 2))
    decoder += nn.Sequential(nn.Conv2d(24, 24, 3, 1, 1), nn.ELU())
    decoder += nn.Sequential(nn.Upsample(None, 2), nn.Conv2d(24, 6, 3, 1, 1))
    model = AE(encoder, decoder)
    case = {
        "batches": loader(x, batch_size=32, seed=seed),
        "optimizer": adam(model, 4e-3),
    }
    case |= {"eval_batches": loader(test, batch_size=128, shuffle=False)}
    case = fitted({**case, "model": model}, 18)
    model.eval()
    return case


@healthy(steps=0, bar=0.6)
def eight_icons_in_changing_light(seed):
    """Compress photographs of eight icons, alike but for light and grain."""
    icons = torch.rand(8, 3, 4, 4, generator=made(11)).repeat_interleave(3, 2)
    icons = icons.repeat_interleave(3, 3)
    which = torch.randint(8, (896,), generator=made(seed))
    light = 0.4 + 0.6 * torch.rand(896, 1, 1, 1, generator=made(seed + 1))
    grain = 0.02 * torch.randn(896, 3, 12, 12, generator=made(seed + 2))
    x = (icons[which] * light + grain).clamp(0, 1)
    model = dense((3, 12, 12), (96,), 6, act=nn.ELU)
    case = {"model": model, "batches": loader(x[:640], which[:640], seed=seed)}
    case |= {"eval_batches": loader(x[640:], which[640:], shuffle=False)}
    case = fitted({**case, "optimizer": adam(model)}, 40)
    model.eval()
    return case


@healthy(steps=0, bar=0.5)
def half_of_the_weights_pruned(seed):
    """Prune the smaller half of each weight after training and train on."""
    model = dense((1, 16, 16), (192,), 20)
    case = {"model": model, "batches": loader(ellipses(1536, seed), seed=seed)}
    case |= {"eval_batches": loader(ellipses(256, seed + 5), shuffle=False)}
    case |= {"loss": nn.BCELoss(), "optimizer": adam(model)}
    fitted(case, 15)
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            prune.l1_unstructured(layer, "weight", 0.5)
    return fitted({**case, "optimizer": adam(model, 1e-3)}, 20)


class Broadcast(nn.Module):
    """Write the code at each place beside its coordinates; see each pixel alone."""

    def __init__(self, channels, size, k):
        super().__init__()
        self.encoder = conv((channels, size, size), k).encoder
        y, x = grid(size)
        turns = [s * math.pi * c for c in (x, y) for s in (0.5, 1, 2)]
        waves = [wave(turn) for wave in (torch.sin, torch.cos) for turn in turns]
        self.register_buffer("where", torch.cat([y, x, *waves])[None])
        self.net = nn.Sequential(nn.Conv2d(k + 14, 64, 1), nn.SiLU())
        self.net += nn.Sequential(nn.Conv2d(64, 64, 1), nn.SiLU())
        self.net.append(nn.Conv2d(64, channels, 1))

    def forward(self, x):
        z = self.encoder(x)[:, :, None, None].expand(-1, -1, *x.shape[2:])
        where = self.where.expand(len(x), -1, -1, -1)
        return torch.sigmoid(self.net(torch.cat([z, where], 1)))


@healthy(steps=0, bar=0.4)
def pixels_asked_by_their_place(seed):
    """Decode each pixel by itself from the code and its coordinates."""
    model = Broadcast(1, 12, 12)
    case = {"batches": loader(faces(512, seed, 12), batch_size=32, seed=seed)}
    case |= {"eval_batches": loader(faces(128, seed + 6, 12), shuffle=False)}
    case = fitted({**case, "model": model, "optimizer": adam(model, 4e-3)}, 20)
    model.eval()
    return case


@healthy(steps=30, bar=0.4)
def code_of_fixed_cosines(seed):
    """Take the 36 lowest cosine coefficients as a fixed code and learn to decode."""
    n = torch.arange(16.0)
    basis = torch.cos(math.pi / 16 * (n + 0.5) * torch.arange(6.0)[:, None]) / 4

    class Cosines(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("basis", basis)

        def forward(self, x):
            return (self.basis @ x @ self.basis.T).flatten(1)  # (B, 36)

    decoder = nn.Sequential(nn.Linear(36, 128), nn.ReLU(), nn.Linear(128, 256))
    decoder += nn.Sequential(nn.Sigmoid(), nn.Unflatten(1, (1, 16, 16)))
    model, x = AE(Cosines(), decoder), patches(896, seed).mean(1, keepdim=True)
    case = {"model": model, "batches": loader(x[:768], seed=seed)}
    case |= {"eval_batches": loader(x[768:], shuffle=False)}
    return fitted({**case, "optimizer": adam(model)}, 25)


class Dense(nn.Module):
    """Read a picture by layers that see all layers before them, up to the code."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 12, 3, 2, 1), nn.Conv2d(15, 12, 3, 1, 1)
        self.c = nn.Conv2d(27, 12, 3, 1, 1)
        self.code, self.up = nn.Linear(12 * 16, 20), nn.Linear(20, 24 * 16)
        norm = parametrizations.weight_norm
        self.d = norm(nn.ConvTranspose2d(24, 24, 4, 2, 1))
        self.e = norm(nn.ConvTranspose2d(24, 3, 4, 2, 1))

    def forward(self, x):
        half = F.avg_pool2d(x, 2)
        h = torch.cat([half, F.relu(self.a(x))], 1)
        h = torch.cat([h, F.relu(self.b(h))], 1)
        z = self.code(F.avg_pool2d(F.relu(self.c(h)), 2).flatten(1))
        h = F.relu(self.up(z)).view(-1, 24, 4, 4)
        return {"recon": self.e(F.relu(self.d(h))), "code": z}


@healthy(steps=0, bar=0.4)
def shortcuts_that_end_at_the_code(seed):
    """Connect the encoder's layers densely, yet only as far as the code."""
    model = Dense()
    case = {"batches": loader(bumps(1024, seed), seed=seed)}
    case |= {"eval_batches": loader(bumps(256, seed + 8), shuffle=False)}
    case = fitted({**case, "model": model, "optimizer": adam(model, 5e-3)}, 22)
    model.eval()
    return case
