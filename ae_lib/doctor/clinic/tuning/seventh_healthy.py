"""Healthy programs that look suspicious: data unlike photographs, as people have it."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import loader, standardise
from ae_lib.doctor.clinic.parts import adam, dense
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.seventh_healthy_material import (
    beats,
    case,
    customers,
    depths,
    flows,
    genes,
    ground,
    machine,
    outlines,
    peaks,
    sentences,
    streets,
    tones,
    voices,
    words,
)
from ae_lib.doctor.clinic.tuning.seventh_healthy_models import (
    Recurrent,
    Series,
    Upsampling,
    next_net,
)


# Asked: spectrograms are not images, may I treat them as one channel in [-1, 1]?
@healthy(steps=150, bar=0.5)
def loudness_between_minus_one_and_one(seed):
    """Map decibels from -40 to 0 onto -1 to 1 and end in a tanh; most bins are -1."""
    x = voices(448, seed) / 20 + 1
    model = Upsampling(1, 32, 24, act=nn.ELU, last=nn.Tanh)
    return case(model, loader(x, batch_size=32, seed=seed), adam(model, 3e-3))


# Asked: after the z-score my spectrogram has a spike of values at -1; clip it?
@healthy(steps=150, bar=0.5)
def decibels_after_a_z_score(seed):
    """Standardise spectrograms, end linearly and use the smooth absolute error."""
    model = next_net(1, 32, 24)
    data = loader(standardise(voices(448, seed)), batch_size=32, seed=seed)
    return case(model, data, adam(model, 3e-3), loss=nn.SmoothL1Loss())


# Asked: four bands of a satellite, correlated, some pixels far beyond 3 deviations.
@healthy(steps=150, bar=0.5)
def terrain_in_four_bands(seed):
    """Compress textures that have no objects and no edges, below and above zero."""
    model = Upsampling(4, 24, 48, width=16, act=nn.LeakyReLU)
    return case(model, loader(ground(448, seed), batch_size=32, seed=seed))


# Asked: x is a one-hot map of classes; is cross-entropy allowed in an autoencoder?
@healthy(steps=150, bar=0.5)
def classes_of_a_street(seed):
    """Reconstruct one-hot maps of four classes by cross-entropy over the classes."""
    model = Upsampling(4, 24, 24)

    def loss(scores, target):
        return F.cross_entropy(scores, target.argmax(1))

    def view(scores):
        return scores.softmax(1)

    data = loader(streets(448, seed), batch_size=32, seed=seed)
    return case(model, data, adam(model, 3e-3), loss=loss, view=view)


# Asked: depth is in metres, 0.5 to 8. Divide by the maximum or leave it?
@healthy(steps=200, bar=0.5)
def distances_in_metres(seed):
    """Learn depth maps in metres as they are, with the absolute error."""
    model = Upsampling(1, 24, 24, act=nn.SiLU)
    data = loader(depths(448, seed), batch_size=32, seed=seed)
    return case(model, data, adam(model, 3e-3), loss=nn.L1Loss())


# Asked: heartbeats are flat for most of the window.
@healthy(steps=200, bar=0.5)
def flat_line_between_beats(seed):
    """Compress single heartbeats in millivolts, nearly zero but for three waves."""
    model = Series(1, 96, 12)
    data = loader(beats(512, seed), batch_size=32, seed=seed)
    return case(model, data, adam(model, 3e-3))


# Asked: landmarks of a shape, x and y, flattened: is a dense network enough?
@healthy(steps=250, bar=0.5)
def outlines_as_coordinates(seed):
    """Compress closed outlines, given as forty points about their centre."""
    model = dense((2, 40), (64,), 10, act=nn.Tanh, last=None)
    return case(model, loader(outlines(512, seed), batch_size=32, seed=seed))


# Asked: words as one-hot letters; the argmax is right but the mse never reaches 0.
@healthy(steps=250, bar=0.5)
def words_letter_by_letter(seed):
    """Read six one-hot letters into sixteen numbers and score the letters again."""
    model = dense((6, 16), (96,), 16, last=None)

    def loss(scores, target):
        return F.cross_entropy(scores.flatten(0, 1), target.flatten(0, 1).argmax(1))

    case_ = case(model, loader(words(640, seed), seed=seed), adam(model, 3e-3))
    return {**case_, "loss": loss, "view": lambda scores: scores.softmax(-1)}


class Mixed(nn.Module):
    """Return numbers and, for each categorical column, probabilities."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        number, *scores = self.net(x).split((8, 3, 4, 5), 1)
        return torch.cat([number, *(s.softmax(1) for s in scores)], 1)


# Asked: numbers and categories in one table, which loss for the whole?
@healthy(steps=250, bar=0.4)
def numbers_and_categories(seed):
    """Add a squared error of numbers and the entropies of three one-hot columns."""
    model = Mixed(dense((20,), (48,), 6, act=nn.ReLU, last=None))

    def loss(out, target):
        columns = (t.split((8, 3, 4, 5), 1) for t in (out, target))
        (number, truth), *groups = zip(*columns, strict=True)
        entropy = sum(-(t * (p + 1e-7).log()).sum(1).mean() for p, t in groups)
        return F.mse_loss(number, truth) + entropy / 3

    return case(model, loader(customers(640, seed), seed=seed), loss=loss)


# Asked: embeddings of sentences are normalised, so every value is tiny. Rescale?
@healthy(steps=300, bar=0.4)
def embeddings_of_length_one(seed):
    """Compress vectors of length one; the error is summed over their entries."""
    model = dense((96,), (64,), 12, act=nn.GELU, last=None)

    def loss(x_hat, target):
        return (x_hat - target).square().sum(1).mean()

    data = loader(sentences(640, seed), batch_size=32, seed=seed)
    return case(model, data, loss=loss)


# Asked: intensities are never negative; softplus or relu at the end?
@healthy(steps=250, bar=0.5)
def lines_of_five_substances(seed):
    """Fit spectra of mixtures with a softplus at the end, by RMSprop."""
    model = dense((100,), (64,), 8, act=nn.Softplus, last=nn.Softplus)
    optimizer = torch.optim.RMSprop(model.parameters(), 1e-3)
    return case(model, loader(peaks(512, seed), batch_size=32, seed=seed), optimizer)


# Asked: raw audio, the mean is zero and so is the mean image.
@healthy(steps=250, bar=0.4)
def plucked_strings(seed):
    """Compress raw sound of about zero mean by convolutions that end in a tanh."""
    model = Series(1, 128, 16, width=16, act=nn.LeakyReLU, last=nn.Tanh)
    data = loader(tones(512, seed), batch_size=32, seed=seed)
    return case(model, data, adam(model, 3e-3))


# Asked: half of the entries are zero (drop-outs of the sequencer), log1p, then?
@healthy(steps=250, bar=0.3)
def logarithm_of_counted_molecules(seed):
    """Compress log1p of counts, half of them zero, with batch norm and dropout."""
    counts, kind = genes(640, seed)
    x = counts.log1p()
    model = nn.Sequential(
        nn.Linear(80, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.1),
        nn.Linear(64, 8),
        nn.Linear(8, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 80),
    )  # fmt: skip
    return case(model, loader(x, kind, seed=seed))


# Asked: optical flow has a sign and a length; which error?
@healthy(steps=200, bar=0.5)
def movement_by_its_end_points(seed):
    """Compress fields of movement in pixels by the distance of the end points."""
    model = Upsampling(2, 16, 12, width=16, act=nn.PReLU)

    def loss(x_hat, target):
        return ((x_hat - target).square().sum(1) + 1e-4).sqrt().mean()

    data = loader(flows(448, seed), batch_size=32, seed=seed)
    return case(model, data, adam(model, 3e-3), loss=loss)


# Asked: LSTM autoencoder, the output is read backwards. Is that on purpose?
# https://github.com/binli826/LSTM-Autoencoders
@healthy(steps=350, bar=0.4)
def sequence_written_from_its_end(seed):
    """Write a record of three sensors from the last state, its end first."""
    x = machine(512, seed, d=20).transpose(1, 2).contiguous()
    model = Recurrent(3, 40)
    return case(model, loader(x, batch_size=32, seed=seed), adam(model, 5e-3))
