"""Seventh part, a: wrong targets, outputs out of reach and losses out of domain."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset

from ae_lib.doctor.clinic.material import digits, loader, patches
from ae_lib.doctor.clinic.parts import AE, adam, conv, dense, dense_vae, kl
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.eleventh_a_material import (
    beats,
    causes,
    counts,
    lines,
    made,
    sensors,
    stripes,
)


class NoisyDigits(Dataset):
    """Add noise to a digit and return it with what it should become."""

    def __init__(self, x, seed, clean_target):
        noise = 0.35 * torch.randn(x.shape, generator=made(seed))
        self.clean, self.noise, self.clean_target = x, noise, clean_target

    def __len__(self):
        return len(self.clean)

    def __getitem__(self, i):
        image = self.clean[i]
        noisy = image + self.noise[i]
        return noisy, image if self.clean_target else noisy


@faulty("data.target", steps=250, bar=0.7)
def noise_on_both_sides(seed, fixed):
    """Return the noisy digit twice from the dataset of a denoiser."""
    x, _ = digits(640, seed, size=16)
    train = NoisyDigits(x[:512], seed, clean_target=fixed)
    test = NoisyDigits(x[512:], seed + 1, clean_target=True)
    model = conv((1, 16, 16), 32, last=None)
    data = DataLoader(train, 32, shuffle=True, generator=made(seed))
    case = {"model": model, "batches": data, "optimizer": adam(model)}
    return {**case, "eval_batches": DataLoader(test, 64)}


class Zipped:
    """Walk through two loaders side by side."""

    def __init__(self, first, second):
        self.first, self.second = first, second

    def __len__(self):
        return len(self.first)

    def __iter__(self):
        return zip(self.first, self.second, strict=True)


@faulty("data.target", steps=350, bar=0.5)
def two_loaders_shuffled_apart(seed, fixed):
    """Shuffle the loader of noisy beats and the loader of clean beats separately."""
    clean = beats(640, seed)
    noisy = clean + 0.15 * torch.randn(clean.shape, generator=made(seed))
    other = seed if fixed else seed + 100
    data = Zipped(
        loader(noisy[:512], batch_size=32, seed=seed),
        loader(clean[:512], batch_size=32, seed=other),
    )
    model = dense((48,), (96, 48), 8, act=nn.ELU, last=None)
    case = {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}
    return {**case, "eval_batches": [(noisy[512:], clean[512:])]}


@faulty("data.target", steps=250, bar=0.3)
def hole_cut_into_the_target(seed, fixed):
    """Blank the centre of the picture in place, so that the target loses it too."""
    x = stripes(640, seed)
    train, test = x[:512], x[512:]
    holes = test.clone()
    holes[:, :, 5:11, 5:11] = 0.0
    model = conv((3, 16, 16), 32, act=nn.LeakyReLU)
    optimizer = adam(model)

    def step(model, batch):
        masked = batch.clone() if fixed else batch
        masked[:, :, 5:11, 5:11] = 0.0
        loss = F.mse_loss(model(masked), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    case = {"model": model, "batches": loader(train, seed=seed), "step": step}
    case |= {"eval_batches": [(holes, test)], "optimizer": optimizer}
    return case


@faulty("data.target", steps=300, bar=0.88)
def corruption_overwritten_again(seed, fixed):
    """Drop table entries at random, then hand the complete rows to the model."""
    x = causes(768, seed, d=18, rank=4)
    keep = (torch.rand(x.shape, generator=made(seed)) > 0.3).float()
    model = dense((18,), (64,), 10, act=nn.SELU, last=None)
    optimizer = torch.optim.RMSprop(model.parameters(), 2e-3)

    def step(model, batch):
        corrupted = batch * (torch.rand_like(batch) > 0.3)
        output = model(corrupted if fixed else batch)
        loss = F.mse_loss(output, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    case = {"model": model, "batches": loader(x[:640], seed=seed), "step": step}
    test = [((x * keep)[640:], x[640:])]
    return {**case, "eval_batches": test, "optimizer": optimizer}


@faulty("output.range", steps=250, bar=0.6)
def fraud_table_through_relu(seed, fixed):
    """End the decoder of a standardised fraud table with a ReLU."""
    x = causes(800, seed, d=29, rank=5)
    layers = [nn.Linear(29, 20), nn.Tanh(), nn.Linear(20, 10), nn.Tanh()]
    encoder = nn.Sequential(*layers)
    decoder = nn.Sequential(nn.Linear(10, 20), nn.Tanh(), nn.Linear(20, 29))
    if not fixed:
        decoder.append(nn.ReLU())
    model = AE(encoder, decoder)
    data = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 5e-3)}


class Mirror(nn.Module):
    """Let one LSTM read a window and another write it."""

    def __init__(self, c, head, hidden=40, k=10):
        super().__init__()
        self.reader = nn.LSTM(c, hidden, batch_first=True)
        self.code = nn.Linear(hidden, k)
        self.writer = nn.LSTM(k, hidden if head else c, batch_first=True)
        self.head = nn.Linear(hidden, c) if head else nn.Identity()

    def forward(self, x):
        _, (h, _) = self.reader(x)
        z = self.code(h[-1])
        written, _ = self.writer(z[:, None].expand(-1, x.shape[1], -1))
        return self.head(written)


@faulty("output.range", steps=400, bar=0.68)
def states_of_the_lstm_as_output(seed, fixed):
    """Return the states of the decoder's LSTM for standardised sensors."""
    x = sensors(384, seed, t=12, c=4)
    model = Mirror(4, head=fixed)
    data = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 8e-3)}


@faulty("output.range", steps=600, bar=0.6)
def softmax_over_the_spectrum(seed, fixed):
    """End a decoder of spectra with a softmax over the wavelengths."""
    x = lines(512, seed)
    x = x / x.max()
    last = nn.Sigmoid() if fixed else nn.Softmax(dim=1)
    model = dense((60,), (64,), 8, act=nn.LeakyReLU, last=None)
    model.decoder.append(last)
    data = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 4e-3)}


@faulty("loss.domain", steps=300, bar=0.3)
def logits_loss_after_sigmoid(seed, fixed):
    """Pass the probabilities of a VAE to the loss that expects logits."""
    x, y = digits(512, seed, size=16)
    model = dense_vae((1, 16, 16), 128, 8)
    recon_loss = nn.BCELoss if fixed else nn.BCEWithLogitsLoss
    criterion = recon_loss(reduction="sum")

    def loss(output, target):
        recon, mu, logvar = output
        return (criterion(recon, target) + 0.5 * kl(mu, logvar).sum()) / len(target)

    case = {"model": model, "batches": loader(x, y, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model)}


@faulty("loss.domain", steps=250, bar=0.4)
def cross_entropy_of_centred_pixels(seed, fixed):
    """Normalise photographs to [-1, 1] and train them with cross-entropy."""
    x = patches(512, seed, size=12)
    if not fixed:
        x = (x - 0.5) / 0.5
    model = conv((3, 12, 12), 24, last=None)
    data = loader(x, seed=seed)
    case = {"model": model, "batches": data, "loss": nn.BCEWithLogitsLoss()}
    return {**case, "optimizer": adam(model), "view": torch.sigmoid}


class Topics(nn.Module):
    """Describe word counts by a few topics and return expected counts."""

    def __init__(self, d, k=5):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(d, 48), nn.ReLU(), nn.Linear(48, k))
        self.decoder = nn.Sequential(nn.Linear(k, 48), nn.ReLU(), nn.Linear(48, d))

    def forward(self, x):
        return F.softplus(self.decoder(self.encoder(torch.log1p(x))))


@faulty("loss.domain", steps=300, bar=0.3)
def rates_taken_for_log_rates(seed, fixed):
    """Leave log_input of the Poisson loss at True for a decoder of rates."""
    x = counts(640, seed)
    model = Topics(50)
    loss = nn.PoissonNLLLoss(log_input=not fixed)
    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model, 3e-3)}
