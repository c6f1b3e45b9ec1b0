"""Tenth bank, b: codes wiring.mode and wiring.bypass."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches, scenes, table
from ae_lib.doctor.clinic.measures import code_matters, train
from ae_lib.doctor.clinic.parts import AE, adam, conv, dense, dense_vae, kl
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.tenth_b_kit import walks, weather


class GaussianNoise(nn.Module):
    """Add noise to the signal."""

    def __init__(self, sigma, always):
        super().__init__()
        self.sigma, self.always = sigma, always

    def forward(self, x):
        if self.training or self.always:
            return x + self.sigma * torch.randn_like(x)
        return x


@faulty("wiring.mode", steps=250, bar=0.925)
def noise_layer_without_a_switch(seed, fixed):
    """Write a noise layer for denoising that works in evaluation as well."""
    x = table(512, seed, d=24, rank=4)
    noise = GaussianNoise(0.9, always=not fixed)
    encoder = [noise, nn.Linear(24, 64), nn.ReLU(), nn.Linear(64, 8)]
    decoder = [nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 24)]
    model = AE(nn.Sequential(*encoder), nn.Sequential(*decoder))
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}


class SwitchedVAE(nn.Module):
    """Sample the code in one mode and take its mean in the other."""

    def __init__(self, sample_in_training):
        super().__init__()
        inner = dense_vae((1, 16, 16), 128, 8)
        self.encoder, self.decoder = inner.encoder, inner.decoder
        self.fc_mu, self.fc_logvar = inner.fc_mu, inner.fc_logvar
        self.sample_in_training = sample_in_training

    def reparameterize(self, mu, logvar):
        if self.training == self.sample_in_training:
            return mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
        return mu

    def forward(self, x):
        h = self.encoder(x)
        mu, logvar = self.fc_mu(h), self.fc_logvar(h)
        return self.decoder(self.reparameterize(mu, logvar)), mu, logvar


@faulty("wiring.mode", bar=0.3)
def sampling_switch_the_wrong_way_round(seed, fixed):
    """Sample the code of a VAE in evaluation and take the mean while training."""
    x, _ = digits(512, seed, size=16)
    model = SwitchedVAE(sample_in_training=fixed)

    def loss(output, target):
        recon, mu, logvar = output
        error = F.binary_cross_entropy(recon, target, reduction="sum")
        return (error + kl(mu, logvar).sum()) / len(target)

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model)}


def _normed(seed, **options):
    model = conv((3, 16, 16), 32, act=nn.LeakyReLU, norm=True)
    for parent in (model.encoder, model.decoder):
        for i, layer in enumerate(parent):
            if isinstance(layer, nn.BatchNorm2d):
                parent[i] = nn.BatchNorm2d(layer.num_features, **options)
    return model


@faulty("wiring.mode", bar=0.6)
def test_images_one_by_one_without_statistics(seed, fixed):
    """Switch off running statistics and test on single images."""
    x = patches(576, seed)
    model = _normed(seed, track_running_stats=fixed)
    case = {"model": model, "batches": loader(x[:512], seed=seed)}
    return {**case, "eval_batches": x[512:].split(1), "optimizer": adam(model)}


# Asked: https://github.com/pytorch/pytorch/issues/4741
@faulty("wiring.mode", bar=0.4)
def statistics_that_follow_too_slowly(seed, fixed):
    """Give batch norm momentum=0.001 in the belief that it is Keras's 0.999."""
    x, _ = scenes(512, seed)
    model = _normed(seed, momentum=0.1 if fixed else 0.001)
    data = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}


class SmallUNet(nn.Module):
    """Join the features of the way down to those of the way up, if asked."""

    def __init__(self, skips):
        super().__init__()
        self.skips = skips
        more = 2 if skips else 1
        self.down1 = nn.Sequential(nn.Conv2d(3, 12, 3, 1, 1), nn.ReLU())
        self.down2 = nn.Sequential(nn.Conv2d(12, 24, 3, 2, 1), nn.ReLU())
        self.down3 = nn.Sequential(nn.Conv2d(24, 24, 3, 2, 1), nn.ReLU())
        self.bottleneck = nn.Sequential(nn.Flatten(), nn.Linear(384, 24))
        self.expand = nn.Linear(24, 384)
        self.up1 = nn.ConvTranspose2d(24, 24, 2, 2)
        self.up2 = nn.ConvTranspose2d(24 * more, 12, 2, 2)
        self.out = nn.Conv2d(12 * more, 3, 3, 1, 1)

    def forward(self, x):
        d1 = self.down1(x)
        d2 = self.down2(d1)
        z = self.bottleneck(self.down3(d2))
        h = F.relu(self.up1(F.relu(self.expand(z)).view(-1, 24, 4, 4)))
        h = F.relu(self.up2(torch.cat([h, d2], 1) if self.skips else h))
        h = torch.cat([h, d1], 1) if self.skips else h
        return torch.sigmoid(self.out(h))


# Asked: https://forums.fast.ai/t/removing-or-reducing-the-amount-of-skip-connections-in-a-unet/88902
@faulty("wiring.bypass", steps=50, measure=code_matters, bar=0.9)
def unet_for_finding_anomalies(seed, fixed):
    """Take a U-Net, skips and all, to reconstruct good parts only."""
    x = patches(384, seed)
    model = SmallUNet(skips=not fixed)
    case = {"model": model, "batches": loader(x, batch_size=48, seed=seed)}
    case |= {"optimizer": adam(model, 4e-3)}
    train(case, 80)
    return case


class Forced(nn.Module):
    """Decode a series step by step from its code and the step before."""

    def __init__(self, channels, k, forced):
        super().__init__()
        self.encoder = nn.GRU(channels, 24, batch_first=True)
        self.bottleneck = nn.Linear(24, k)
        self.start = nn.Linear(k, 24)
        self.decoder = nn.GRU(channels, 24, batch_first=True)
        self.head = nn.Linear(24, channels)
        self.forced = forced

    def forward(self, x):
        _, h = self.encoder(x)
        z = self.bottleneck(h[-1])
        before = F.pad(x, (0, 0, 1, 0))[:, :-1]  # zero, then x[:, 0], x[:, 1], ...
        if not self.forced:
            before = torch.zeros_like(x)
        out, _ = self.decoder(before, torch.tanh(self.start(z))[None])
        return {"reconstruction": self.head(out), "code": z}


@faulty("wiring.bypass", steps=150, measure=code_matters, bar=0.8)
def true_values_fed_to_the_decoder(seed, fixed):
    """Feed the decoder of a series the true value before each step, in tests too."""
    x = walks(384, seed)
    model = Forced(1, 8, forced=not fixed)
    data = loader(x, batch_size=48, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 1e-2)}


class Residual(nn.Module):
    """Let the decoder describe the difference between picture and input."""

    def __init__(self, k, residual):
        super().__init__()
        inner = dense((48,), (64,), k, act=nn.ELU, last=None)
        self.encoder, self.decoder = inner.encoder[:-1], inner.decoder
        self.bottleneck = inner.encoder[-1]
        self.residual = residual

    def forward(self, x):
        change = self.decoder(self.bottleneck(self.encoder(x)))
        return x + change if self.residual else change


@faulty("wiring.bypass", steps=50, measure=code_matters, bar=0.9)
def input_added_back_for_quick_training(seed, fixed):
    """Add the input to the output because the loss then falls at once."""
    x = weather(512, seed, t=16, c=3).flatten(1)
    model = Residual(6, residual=not fixed)
    case = {"model": model, "batches": loader(x, seed=seed)}
    case |= {"optimizer": adam(model, 3e-3)}
    train(case, 200)
    return case
