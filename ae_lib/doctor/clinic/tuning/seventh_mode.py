"""Networks that change with the mode or pass by the code, from a seventh round."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, scenes
from ae_lib.doctor.clinic.measures import code_matters, train
from ae_lib.doctor.clinic.parts import adam
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.seventh_material import (
    Cae,
    Fc,
    ResUnit,
)


class NoisyInput(Fc):
    """Add noise to the input of a denoiser at one time or another."""

    when = True

    def forward(self, x):
        if self.training == self.when:
            x = x + 0.8 * torch.randn_like(x)
        return super().forward(x)


# Asked: good loss while training, bad pictures from model.eval(); no batch norm inside.
@faulty("wiring.mode", steps=300, bar=0.6)
def noise_at_the_wrong_time(seed, fixed):
    """Write "if not self.training" where the noise of a denoiser is added."""
    x, _ = digits(768, seed, size=16)
    model = NoisyInput((1, 16, 16), 128, 24)
    model.when = fixed
    batches = loader(x, batch_size=64, seed=seed)
    return {"model": model, "batches": batches, "optimizer": adam(model)}


class Finished(Cae):
    """Finish the picture by a sigmoid in evaluation, as classifiers do."""

    finish = True

    def forward(self, x):
        x_hat = super().forward(x)
        return torch.sigmoid(x_hat) if self.finish and not self.training else x_hat


# Asked: the loss is low, but after model.eval() my reconstructions are a grey veil.
# Like: https://github.com/kamenbliznashki/normalizing_flows/issues/13 (modes differ)
@faulty("wiring.mode", steps=200, bar=0.4)
def sigmoid_in_evaluation_only(seed, fixed):
    """Train linear outputs by the squared error, and add a sigmoid when evaluating."""
    x, _ = digits(640, seed, size=16)
    model = Finished((1, 16, 16), 24, last=None)
    model.finish = not fixed
    batches = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": batches, "optimizer": adam(model, 2e-3)}


class LinkNet(nn.Module):
    """Add features of the encoder to those of the decoder, at both resolutions."""

    def __init__(self, w=12, k=4, links=True):
        super().__init__()
        self.enc1, self.enc2 = nn.Conv2d(3, w, 4, 2, 1), nn.Conv2d(w, 2 * w, 4, 2, 1)
        self.bottleneck = nn.Linear(2 * w * 36, k)
        self.expand = nn.Linear(k, 2 * w * 36)
        self.dec2 = nn.ConvTranspose2d(2 * w, w, 4, 2, 1)
        self.dec1 = nn.ConvTranspose2d(w, 3, 4, 2, 1)
        self.unit, self.links = ResUnit(w), links

    def forward(self, x):
        one = F.relu(self.enc1(x))  # (B, w, 12, 12)
        two = F.relu(self.enc2(one))  # (B, 2w, 6, 6)
        h = F.relu(self.expand(self.bottleneck(two.flatten(1)))).view_as(two)
        h = F.relu(self.dec2(h + two if self.links else h))
        return torch.sigmoid(self.dec1(self.unit(h + one if self.links else h)))


# Asked: https://github.com/lgvaz/faststyle/issues/5 (the lower layers learn nothing)
@faulty("wiring.bypass", steps=0, measure=code_matters, bar=0.2)
def features_added_across_the_waist(seed, fixed):
    """Add encoder features to the decoder; the code of 16 numbers idles."""
    x, _ = scenes(384, seed, 24)
    model = LinkNet(k=16, links=not fixed)
    batches = loader(x, batch_size=32, seed=seed)
    case = {"model": model, "batches": batches, "optimizer": adam(model, 3e-3)}
    train(case, 300)
    return case
