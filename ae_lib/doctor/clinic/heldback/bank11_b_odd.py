"""Eleventh part, b: unusual programs that work."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.heldback.bank11_b_material import (
    blobs,
    clients,
    counts,
    gratings,
    made,
    masks,
    spectra,
)
from ae_lib.doctor.clinic.material import digits, loader
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import AE, adam, dense, stack
from ae_lib.doctor.clinic.program import healthy


class TiedPlane(nn.Module):
    """Project on a plane with one matrix and return with its transpose."""

    def __init__(self, middle: Tensor, k=8):
        super().__init__()
        self.register_buffer("middle", middle)
        self.rows = nn.Parameter(nn.init.orthogonal_(torch.empty(k, len(middle))))

    def encode(self, x: Tensor) -> Tensor:
        return F.linear(x - self.middle, self.rows)

    def forward(self, x: Tensor) -> Tensor:
        return self.encode(x) @ self.rows + self.middle


@healthy(steps=300, bar=0.8)
def plane_through_spectra_at_a_rate_of_eight(seed):
    """Learn a linear plane with tied weights by plain SGD at a rate of eight."""
    x = spectra(768, seed)
    model = TiedPlane(x.mean(0))
    return {
        "model": model,
        "batches": loader(x, batch_size=64, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": torch.optim.SGD(model.parameters(), lr=8.0),
    }


@healthy(steps=480, bar=0.7)
def three_small_batches_to_a_step(seed):
    """Add the gradients of three batches of sixteen, each a third, before a step."""
    x = gratings(768, seed)
    model = dense((1, 16, 16), (128,), 5, act=nn.SiLU)
    optimizer = adam(model, 4e-3)
    optimizer.zero_grad()
    seen = [0]

    def step(model, batch):
        loss = F.mse_loss(model(batch), batch)
        (loss / 3).backward()
        seen[0] += 1
        if seen[0] % 3 == 0:
            optimizer.step()
            optimizer.zero_grad()
        return loss.item()

    return {
        "model": model,
        "batches": loader(x, batch_size=16, seed=seed),
        "step": step,
        "optimizer": optimizer,
    }


@healthy(steps=300, bar=0.6)
def other_decoder_upon_an_encoder_at_rest(seed):
    """Freeze an encoder that was trained before and learn a new decoder for it."""
    x, labels = digits(1024, seed, size=16)
    first = dense((1, 16, 16), (128,), 16)
    earlier = {"model": first, "batches": loader(x, seed=seed)}
    train(earlier | {"loss": nn.BCELoss(), "optimizer": adam(first, 3e-3)}, 800)
    encoder = first.encoder.requires_grad_(False)
    decoder = nn.Sequential(
        nn.Linear(16, 256),
        nn.ReLU(),
        nn.Unflatten(1, (16, 4, 4)),
        nn.ConvTranspose2d(16, 16, 4, 2, 1),
        nn.ReLU(),
        nn.ConvTranspose2d(16, 1, 4, 2, 1),
        nn.Sigmoid(),
    )
    model = AE(encoder, decoder)
    return {
        "model": model,
        "batches": loader(x, labels, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": torch.optim.Adam(decoder.parameters(), lr=4e-3),
    }


class StrongestFew(nn.Module):
    """Keep the strongest twelve of 48 features of an image, set the rest to zero."""

    def __init__(self, width=48, few=12):
        super().__init__()
        self.rise = nn.Linear(256, width)
        self.fall = nn.Linear(width, 256)
        self.few = few

    def encode(self, x: Tensor) -> Tensor:
        h = F.relu(self.rise(x.flatten(1) - self.fall.bias))
        kept = h.topk(self.few, 1)
        return torch.zeros_like(h).scatter(1, kept.indices, kept.values)

    def forward(self, x: Tensor) -> Tensor:
        return self.fall(self.encode(x)).view_as(x)


@healthy(steps=400, bar=0.6)
def strongest_twelve_of_forty_eight_features(seed):
    """Keep twelve of 48 features of a digit, so most of the code is zero."""
    x, _ = digits(1024, seed, size=16)
    model = StrongestFew()
    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
    }


@healthy(steps=500, bar=0.6)
def answers_hidden_from_a_questionnaire(seed):
    """Set three in ten answers to their mean of zero and ask for them all."""
    x = clients(1280, seed)
    draw = made(seed + 9)
    encoder = nn.Sequential(*stack((24, 128, 64)), nn.Linear(64, 8))
    decoder = nn.Sequential(*stack((8, 64, 128)), nn.Linear(128, 24))
    model = AE(encoder, decoder)

    def hide(batch):
        shown = (torch.rand(batch.shape, generator=draw) > 0.3).float()
        return batch * shown, batch

    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "pair": hide,
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
        "judge": [hide(x)],
    }


class Rates(nn.Module):
    """Take whole counts and return the expected count of every word."""

    def __init__(self, words=60, k=5):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(words, 64), nn.Softplus())
        self.code = nn.Linear(64, k)
        self.decoder = nn.Sequential(nn.Linear(k, 64), nn.Softplus())
        self.out = nn.Linear(64, words)

    def encode(self, x: Tensor) -> Tensor:
        return self.code(self.encoder(x.log1p()))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"recon": self.out(self.decoder(self.encode(x))).exp()}


@healthy(steps=350, bar=0.55)
def word_counts_by_their_poisson_likelihood(seed):
    """Fit whole word counts by the Poisson likelihood of the expected counts."""
    x = counts(1024, seed)
    model = Rates()

    def loss(output, target):
        return F.poisson_nll_loss(output["recon"], target, log_input=False)

    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": loss,
        "optimizer": adam(model, 4e-3),
    }


class Codebook(nn.Module):
    """Replace each of four parts of the code by the nearest word of a book."""

    def __init__(self, words=32, width=6):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Flatten(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 4 * width)
        )
        self.book = nn.Embedding(words, width)
        nn.init.normal_(self.book.weight, std=0.3)
        self.decoder = nn.Sequential(
            *stack((4 * width, 128)), nn.Linear(128, 256), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.encoder(x).view(len(x), 4, -1)
        word = self.book(torch.cdist(z, self.book.weight).argmin(2))
        pull = F.mse_loss(word, z.detach()) + 0.25 * F.mse_loss(z, word.detach())
        z = z + (word - z).detach()
        return self.decoder(z.flatten(1)).view_as(x), pull


@healthy(steps=500, bar=0.5)
def four_words_of_a_codebook_for_a_mask(seed):
    """Code a mask by four words of a codebook, with gradients passed straight on."""
    x = masks(896, seed)
    model = Codebook()

    def loss(output, target):
        return F.mse_loss(output[0], target) + output[1]

    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": loss,
        "optimizer": adam(model, 3e-3),
    }


@healthy(steps=250, bar=0.7)
def spots_in_bfloat16_with_nadam(seed):
    """Run the network in bfloat16, keep the loss in float32 and step by NAdam."""
    x = blobs(768, seed)
    model = dense((1, 16, 16), (160,), 8, act=nn.GELU)
    optimizer = torch.optim.NAdam(model.parameters(), lr=2e-3)

    def step(model, batch):
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            recon = model(batch)
        loss = F.mse_loss(recon.float(), batch)
        loss.backward()
        optimizer.step()
        return loss.item()

    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "step": step,
        "optimizer": optimizer,
    }
