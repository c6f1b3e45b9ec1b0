"""Healthy programs that look suspicious, after training."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic import measures
from ae_lib.doctor.clinic.material import digits, loader, patches, table
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import AE, adam, conv, conv_vae, dense, elbo
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.fit import DataList, diary


def after(case: dict, steps: int) -> dict:
    """Train a case and return it."""
    train(case, steps)
    return case


@healthy(steps=0)
def converged(seed):
    """Show a history whose loss has been flat for long."""
    x = table(1024, seed, d=32)
    model = dense((32,), (64,), 8, last=None)
    case = {"model": model, "batches": loader(x[:896], seed=seed)}
    case |= {"optimizer": adam(model, 3e-3)}
    return {**case, "history": diary(case, 50, x[896:])}


@healthy(steps=0)
def idle_units(seed):
    """Give a VAE more units than the data needs; some stay at the prior."""
    model = conv_vae((3, 16, 16), k=16)
    data = loader(patches(512, seed), seed=seed)
    case = {"model": model, "batches": data, "loss": elbo(1.0, 0.05)}
    return after({**case, "optimizer": adam(model, 3e-3)}, 200)


@healthy(steps=0)
def sparse_code(seed):
    """Train a sparse code: most units are zero for most images."""
    x, y = digits(512, seed)
    model = dense((1, 28, 28), (128,), 64)
    model.encoder.append(nn.ReLU())
    return after(
        {"model": model, "batches": loader(x, y, seed=seed), "optimizer": adam(model)},
        250,
    )


class Largest(AE):
    """Keep the ten largest code units of each sample."""

    def encode(self, x):
        z = self.encoder(x)
        kept = z.topk(10, 1)
        return torch.zeros_like(z).scatter(1, kept.indices, kept.values)


@healthy(steps=0)
def k_sparse(seed):
    """Keep ten of sixty-four units."""
    model = conv((3, 16, 16), 64)
    model = Largest(model.encoder, model.decoder)
    data = loader(patches(512, seed), seed=seed)
    return after({"model": model, "batches": data, "optimizer": adam(model)}, 200)


@healthy(steps=0)
def wide_denoiser(seed):
    """Denoise with a code wider than the input, which cannot copy noise."""
    x, _ = digits(1024, seed, size=8)
    model = dense((64,), (256,), 128, last=None)

    def pair(batch):
        return batch + 0.4 * torch.randn_like(batch), batch

    case = {"model": model, "batches": loader(x.flatten(1), seed=seed), "pair": pair}
    return after({**case, "optimizer": adam(model)}, 500)


class Denoiser(nn.Module):
    """Denoise with a small U-Net, whose skips are no shortcut to the target."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1), nn.ReLU())
        self.down = nn.Sequential(nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU())
        self.up = nn.Sequential(nn.ConvTranspose2d(32, 16, 4, 2, 1), nn.ReLU())
        self.last = nn.Conv2d(32, 3, 3, 1, 1)

    def forward(self, x):
        h = self.first(x)
        return self.last(torch.cat([h, self.up(self.down(h))], 1))


@healthy(steps=0)
def unet_denoiser(seed):
    """Remove noise with a U-Net."""
    model = Denoiser()

    def pair(batch):
        return batch + 0.2 * torch.randn_like(batch), batch

    case = {"model": model, "batches": loader(patches(384, seed), seed=seed)}
    return after({**case, "pair": pair, "optimizer": adam(model, 3e-3)}, 80)


@healthy(steps=0, measure=measures.neighbours, bar=0.85)
def features_with_gain(seed):
    """Use the code of digits as features, with labels given."""
    x, y = digits(1024, seed)
    model = dense((1, 28, 28), (256, 64), 6, act=nn.ELU)
    case = {"model": model, "batches": DataList(x, y), "labels": y}
    return after({**case, "optimizer": adam(model)}, 350)


@healthy(steps=0)
def batch_norm_after_training(seed):
    """Train with batch norm, long enough for its statistics to settle."""
    x, y = digits(512, seed)
    model = conv((1, 28, 28), 24, norm=True, act=nn.LeakyReLU)
    case = {"model": model, "batches": loader(x, y, seed=seed)}
    return after({**case, "optimizer": adam(model, 3e-3)}, 100)


@healthy(steps=0)
def resized_convolutions(seed):
    """Upsample by resizing and convolving; judge held-out patches."""
    x = patches(640, seed)
    up = [nn.Linear(32, 512), nn.ReLU(), nn.Unflatten(1, (32, 4, 4))]
    up += [nn.Upsample(scale_factor=2), nn.Conv2d(32, 16, 3, 1, 1), nn.ReLU()]
    up += [nn.Upsample(scale_factor=2), nn.Conv2d(16, 3, 3, 1, 1), nn.Sigmoid()]
    model = AE(conv((3, 16, 16), 32).encoder, nn.Sequential(*up))
    case = {"model": model, "batches": loader(x[:512], seed=seed)}
    case |= {"optimizer": adam(model, 3e-3), "eval_batches": [x[512:]]}
    return after(case, 150)


@healthy(steps=0)
def transposed_kernel_four(seed):
    """Upsample with kernel 4 and stride 2, trained to the end."""
    x, y = digits(512, seed)
    model = conv((1, 28, 28), 24)
    case = {"model": model, "batches": loader(x, y, seed=seed)}
    return after({**case, "optimizer": adam(model, 3e-3)}, 160)


@healthy(steps=0)
def cosine_to_the_end(seed):
    """Anneal the rate to zero; the run is over and the last rate is tiny."""
    model = conv((3, 16, 16), 32)
    optimizer = adam(model, 4e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 150)
    history = {"train_loss": []}
    case = {"model": model, "batches": loader(patches(512, seed), seed=seed)}

    def step(model, batch):
        optimizer.zero_grad()
        loss = F.mse_loss(model(batch), batch)
        loss.backward()
        optimizer.step()
        schedule.step()
        return loss.item()

    for _ in range(18):
        losses = train({**case, "step": step}, 8)
        history["train_loss"].append(sum(losses) / len(losses))
    return {**case, "optimizer": optimizer, "history": history}
