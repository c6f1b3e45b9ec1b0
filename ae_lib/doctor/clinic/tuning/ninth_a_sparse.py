"""Healthy programs on pictures: sparse, contractive and tied networks."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches
from ae_lib.doctor.clinic.parts import AE, adam, conv
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.ninth_a_parts import (
    cells,
    ellipses,
    faces,
    fitted,
    speckle,
)


class TopK(nn.Module):
    """Keep the k largest features of each row."""

    def __init__(self, k):
        super().__init__()
        self.k = k

    def forward(self, h):
        value, place = h.topk(self.k, dim=1)
        return torch.zeros_like(h).scatter(1, place, value.relu())


# Asked: https://discuss.pytorch.org/t/implementing-k-sparse-autoencoder-on-fasttext-embedding-the-output-is-strange/39245
@healthy(steps=200, bar=0.4)
def twenty_largest_of_three_hundred(seed):
    """Keep the 20 largest of 300 features, more than a grey cut-out has pixels."""
    x = patches(768, seed).mean(1, keepdim=True)
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(256, 300), TopK(20))
    decoder = nn.Sequential(nn.Linear(300, 256), nn.Unflatten(1, (1, 16, 16)))
    model = AE(encoder, decoder)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}


# Asked: https://discuss.pytorch.org/t/autoencoder-sparsity-term/96005
@healthy(steps=40, bar=0.3)
def mean_activity_near_a_tenth(seed):
    """Hold the mean activity of sigmoid units near a tenth by a KL term."""
    x, _ = digits(1400, seed, 8)
    hidden = nn.Sequential(nn.Flatten(), nn.Linear(64, 96), nn.Sigmoid())
    out = nn.Sequential(nn.Linear(96, 64), nn.Sigmoid(), nn.Unflatten(1, (1, 8, 8)))

    class Sparse(AE):
        def forward(self, x):
            h = self.encoder(x)
            return self.decoder(h), h

    model, rho = Sparse(hidden, out), 0.1

    def loss(output, target):
        recon, h = output
        q = h.mean(0).clamp(1e-4, 1 - 1e-4)
        off = (1 - rho) * ((1 - rho) / (1 - q)).log()
        error = F.mse_loss(recon, target, reduction="sum") / len(target)
        return error + 0.1 * (rho * (rho / q).log() + off).sum()

    case = {"model": model, "batches": loader(x[:1152], seed=seed), "loss": loss}
    case |= {"eval_batches": loader(x[1152:], batch_size=248, shuffle=False)}
    return fitted({**case, "optimizer": adam(model, 0.01)}, 50)


@healthy(steps=0, bar=0.5)
def most_of_the_code_is_zero(seed):
    """Train ReLU features of faces with an L1 term until most of them are zero."""
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(576, 128), nn.ReLU())
    encoder += nn.Sequential(nn.Linear(128, 100), nn.ReLU())
    decoder = nn.Sequential(nn.Linear(100, 128), nn.ReLU(), nn.Linear(128, 576))
    decoder += nn.Sequential(nn.Sigmoid(), nn.Unflatten(1, (1, 24, 24)))
    model = AE(encoder, decoder)

    def step(model, batch):
        h = model.encode(batch)
        loss = F.mse_loss(model.decode(h), batch) + 2e-4 * h.abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    optimizer = adam(model)
    case = {"model": model, "batches": loader(faces(768, seed), seed=seed)}
    case |= {"eval_batches": loader(faces(256, seed + 20), shuffle=False)}
    case = fitted({**case, "step": step, "optimizer": optimizer}, 40)
    model.eval()
    return case


class Contractive(AE):
    """Return the code beside the reconstruction."""

    def forward(self, x):
        z = self.encoder(x)
        return {"x_hat": self.decoder(z), "z": z}


@healthy(steps=300, bar=0.4)
def jacobian_estimated_by_one_direction(seed):
    """Estimate the Jacobian's norm of a deep encoder by one random direction a step."""
    inner = conv((1, 16, 16), 12, act=nn.Softplus)
    model = Contractive(inner.encoder, inner.decoder)
    optimizer = adam(model, 3e-3)

    def step(model, batch):
        batch = batch.clone().requires_grad_()
        output = model(batch)
        v = torch.randn_like(output["z"])
        (slope,) = torch.autograd.grad(output["z"], batch, v, create_graph=True)
        penalty = slope.square().flatten(1).sum(1).mean()
        loss = F.mse_loss(output["x_hat"], batch.detach()) + 1e-4 * penalty
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    data = loader(ellipses(512, seed), seed=seed)
    return {"model": model, "batches": data, "step": step, "optimizer": optimizer}


class TiedConv(nn.Module):
    """Decode by the transposed convolutions of the encoder's own kernels."""

    def __init__(self):
        super().__init__()
        self.first = nn.Parameter(torch.randn(24, 3, 4, 4) * 0.12)
        self.second = nn.Parameter(torch.randn(8, 24, 4, 4) * 0.06)
        self.b1, self.b2 = nn.Parameter(torch.zeros(24)), nn.Parameter(torch.zeros(8))
        self.c1, self.c2 = nn.Parameter(torch.zeros(24)), nn.Parameter(torch.zeros(3))

    def forward(self, x):
        h = F.leaky_relu(F.conv2d(x, self.first, self.b1, 2, 1))
        z = F.conv2d(h, self.second, self.b2, 2, 1)  # (B, 8, 4, 4)
        h = F.leaky_relu(F.conv_transpose2d(z, self.second, self.c1, 2, 1))
        return torch.sigmoid(F.conv_transpose2d(h, self.first, self.c2, 2, 1))


# Asked: https://discuss.pytorch.org/t/how-to-create-and-train-a-tied-autoencoder/2585/13
@healthy(bar=0.5)
def kernels_shared_by_both_ways(seed):
    """Use the encoder's convolution kernels in the decoder, too."""
    model, data = TiedConv(), loader(patches(512, seed), batch_size=32, seed=seed)
    optimizer = torch.optim.RMSprop(model.parameters(), 1e-3)
    return {"model": model, "batches": data, "optimizer": optimizer}


@healthy(steps=0, bar=0.5)
def stacked_layer_by_layer(seed):
    """Train three layers one after the other, as in 2006, and then all together."""
    x, test = (cells(n, seed + s).flatten(1) for n, s in ((768, 0), (256, 80)))
    downs, ups, h = [], [], x
    for a, b in ((256, 128), (128, 64), (64, 20)):
        down = nn.Sequential(nn.Linear(a, b), nn.Tanh())
        up = nn.Sequential(nn.Linear(b, a), nn.Tanh() if ups else nn.Sigmoid())
        optimizer = adam(nn.ModuleList([down, up]))
        for _ in range(12):
            for rows in h.split(64):
                optimizer.zero_grad()
                F.mse_loss(up(down(rows)), rows).backward()
                optimizer.step()
        h = down(h).detach()
        downs, ups = [*downs, down], [up, *ups]
    model = AE(nn.Sequential(*downs), nn.Sequential(*ups))
    case = {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}
    case |= {"eval_batches": loader(test, shuffle=False)}
    case = fitted(case, 25)
    model.eval()
    return case


class Shrink(nn.Module):
    """Find a sparse code by three learned steps of shrinkage (LISTA)."""

    def __init__(self, d, k):
        super().__init__()
        self.we, self.s = nn.Linear(d, k), nn.Linear(k, k, bias=False)
        self.limit = nn.Parameter(torch.full((k,), 0.05))
        self.d = nn.Linear(k, d)

    def forward(self, x):
        b = self.we(x.flatten(1))
        z = F.softshrink(b, 0.05)
        for _ in range(3):
            c = b + self.s(z)
            z = c.sign() * (c.abs() - self.limit).relu()
        return self.d(z).view_as(x), z


@healthy(steps=250, bar=0.4)
def unrolled_shrinkage(seed):
    """Unroll sparse coding of noise-like textures into a network, with an L1 term."""
    x = speckle(768, seed) - 0.5
    model, data = Shrink(256, 80), loader(x / x.std(), seed=seed)

    def loss(output, target):
        recon, z = output
        error = 0.5 * (recon - target).square().flatten(1).sum(1)
        return (error + 0.1 * z.abs().sum(1)).mean()

    case = {"model": model, "batches": data, "loss": loss}
    return {**case, "optimizer": adam(model)}


class WinnerTakesAll(nn.Module):
    """Keep the strongest place of each of 32 feature maps, all else is zero."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU())
        self.features += nn.Sequential(nn.Conv2d(16, 32, 5, padding=2), nn.ReLU())
        self.paint = nn.Conv2d(32, 1, 9, padding=4)

    def encode(self, x):
        h = self.features(x)
        return h * (h == h.amax((2, 3), keepdim=True))

    def forward(self, x):
        return self.paint(self.encode(x))


@healthy(steps=0, bar=0.4)
def one_winner_in_each_map(seed):
    """Paint micrographs from one place per feature map (winner takes all)."""
    model = WinnerTakesAll()
    case = {
        "model": model,
        "batches": loader(cells(320, seed, 12), batch_size=32, seed=seed),
    }
    case |= {"eval_batches": loader(cells(128, seed + 15, 12), shuffle=False)}
    case = fitted({**case, "optimizer": adam(model, 4e-3)}, 18)
    model.eval()
    return case
