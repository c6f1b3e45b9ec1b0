"""Healthy programs that look suspicious: examined in the middle and at the end."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.measures import pair as split
from ae_lib.doctor.clinic.measures import train, x_hat
from ae_lib.doctor.clinic.parts import AE, adam, dense, dense_vae, kl, sgd, stack
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.seventh_healthy_codes import (
    Coded,
    Deviation,
)
from ae_lib.doctor.clinic.tuning.seventh_healthy_material import (
    activations,
    beats,
    case,
    flows,
    ground,
    machine,
    outlines,
    phantoms,
    words,
)
from ae_lib.doctor.clinic.tuning.seventh_healthy_models import Series, UNet
from ae_lib.doctor.clinic.tuning.seventh_healthy_sparse import Dictionary


def mse(out, target: Tensor) -> Tensor:
    """Return the mean squared error of the picture in an output."""
    return F.mse_loss(x_hat(out), target)


def lived(begun: dict, epochs: int, held=None, rate=None) -> dict:
    """Train for some epochs and add their losses as a history.

    `held` are batches for the validation loss; `rate(epoch)` multiplies the learning
    rate.
    """
    history: dict[str, list[float]] = {"train_loss": [], "val_loss": []}
    base = [group["lr"] for group in begun["optimizer"].param_groups]
    loss_of, model = begun.get("loss", mse), begun["model"]
    for epoch in range(epochs):
        for group, lr in zip(begun["optimizer"].param_groups, base, strict=True):
            group["lr"] = lr * (rate(epoch / epochs) if rate else 1)
        losses = train(begun, len(begun["batches"]))
        history["train_loss"].append(sum(losses) / len(losses))
        if held is not None:
            model.eval()
            with torch.no_grad():
                pairs = [split(begun, batch) for batch in held]
                scores = [loss_of(model(x), target).item() for x, target in pairs]
            history["val_loss"].append(sum(scores) / len(scores))
    model.train()
    if held is None:
        del history["val_loss"]
    return {**begun, "history": history}


def cosine(part: float) -> float:
    """Return the factor of a cosine schedule that ends at a twentieth."""
    return 0.05 + 0.95 * (1 + math.cos(math.pi * part)) / 2


# Asked: nothing has moved for ten epochs. Is the network stuck?
@healthy(steps=0, bar=0.8)
def flat_for_ten_epochs(seed):
    """Examine a run that has converged: the rate is small and the loss stands still."""
    x = outlines(640, seed)
    model = dense((2, 40), (64,), 10, act=nn.Tanh, last=None)
    begun = case(model, loader(x[:512], batch_size=32, seed=seed), adam(model, 5e-3))
    return lived(begun, 40, [x[512:]], cosine)


# Asked: the weights come from an SVD; only the last digits are trained.
@healthy(steps=0, bar=0.8)
def axes_taken_from_an_svd(seed):
    """Set a linear network to the principal axes of slices, to train it no further."""
    x = phantoms(448, seed)
    mean = x.flatten(1).mean(0)
    axes = torch.linalg.svd(x.flatten(1) - mean, full_matrices=False).Vh[:32]
    down, up = nn.Linear(1024, 32), nn.Linear(32, 1024)
    with torch.no_grad():
        down.weight.copy_(axes)
        down.bias.copy_(-axes @ mean)
        up.weight.copy_(axes.T)
        up.bias.copy_(mean)
    model = AE(
        nn.Sequential(nn.Flatten(), down),
        nn.Sequential(up, nn.Unflatten(1, (1, 32, 32))),
    )
    data = loader(x, batch_size=64, seed=seed)
    return case(model, data, torch.optim.Adam(model.parameters(), 1e-4))


# Asked: the loss, also that of validation, rises for fifteen epochs. Overfitting?
# https://github.com/facebookresearch/improved_vrnn/issues/4
@healthy(steps=0, bar=0.5)
def loss_rises_while_the_divergence_joins(seed):
    """Raise the weight of the divergence for twenty epochs; the loss rises with it."""
    x = flows(576, seed)
    model, weight = dense_vae((2, 16, 16), 96, 6, last=None), {"beta": 0.0}
    optimizer = adam(model, 2e-3)

    def loss(out, target):
        picture, mu, logvar = out
        error = (picture - target).square().flatten(1).sum(1) / 2
        return (error + weight["beta"] * kl(mu, logvar).sum(1)).mean()

    data = loader(x[:448], batch_size=32, seed=seed)
    begun = case(model, data, optimizer, loss=loss)

    def rate(part):
        weight["beta"] = min(1.0, 2 * part)
        return 1 if part < 0.7 else 0.2

    return lived(begun, 40, [x[448:]], rate)


# Asked: more than nine tenths of the features are zero for every input, all dead?
@healthy(steps=0, bar=0.6)
def nine_tenths_of_the_features_off(seed):
    """Examine a dictionary after training: few features are on for each input."""
    x = activations(2560, seed)
    model = Dictionary(32, 64)

    def loss(out, target):
        error = (out["x_hat"] - target).square().sum(1)
        return (error + 0.06 * out["features"].sum(1)).mean()

    data = loader(x[:2048], batch_size=64, seed=seed)
    begun = case(model, data, adam(model, 3e-3), loss=loss)

    def unit_length(part):
        with torch.no_grad():
            weight = model.decoder.weight
            weight.copy_(F.normalize(weight, dim=0))
        return cosine(part)

    return lived(begun, 25, [x[2048:]], unit_length)


# Asked: three of my eight units have a divergence of 0.001. Take fewer or go on?
@healthy(steps=0, bar=0.6)
def some_of_ten_units_idle(seed):
    """Examine a variational network with ten units for a field of five causes."""
    x = flows(512, seed)
    decoder = nn.Sequential(*stack((10, 128)), nn.Linear(128, 512))
    decoder.append(nn.Unflatten(1, (2, 16, 16)))
    encoder = nn.Sequential(nn.Flatten(), *stack((512, 128)))
    model = Deviation(encoder, decoder, 128, 10)

    def loss(out, target):
        error = (out["recon"] - target).square().flatten(1).sum(1) / (2 * 0.2)
        return (error + kl(out["mu"], out["log_var"]).sum(1)).mean()

    data = loader(x, batch_size=32, seed=seed)
    begun = case(model, data, adam(model, 3e-3), loss=loss)
    return lived(begun, 40, None, cosine)


# Asked: trained on normal windows; a few of the test set are broken on purpose.
@healthy(steps=0, bar=0.6)
def some_broken_windows_in_the_test(seed):
    """Judge a detector of faults on windows of which one in twenty-five has a fault."""
    x = machine(640, seed)[torch.randperm(640)]
    model = Series(3, 32, 10, act=nn.ReLU)
    begun = case(model, loader(x[:512], batch_size=32, seed=seed), adam(model, 3e-3))
    done = lived(begun, 25, [x[512:]], cosine)
    test = x[512:].clone()
    test[:5, 0, 10:14] += 2.0
    return {**done, "eval_batches": [test]}


# Asked: no dense layer, so I train on crops and use it on whole pictures.
@healthy(steps=0, bar=0.6)
def crops_to_train_on_and_whole_fields(seed):
    """Train on quarters of textures and judge the same network on whole ones."""
    whole = ground(512, seed)
    crops = torch.cat([whole[:448, :, :12, :12], whole[:448, :, 12:, 12:]])
    model = AE(
        nn.Sequential(
            nn.Conv2d(4, 24, 4, 2, 1), nn.ELU(), nn.Conv2d(24, 12, 4, 2, 1)
        ),
        nn.Sequential(
            nn.ConvTranspose2d(12, 24, 4, 2, 1), nn.ELU(),
            nn.ConvTranspose2d(24, 4, 4, 2, 1),
        ),
    )  # fmt: skip
    data = loader(crops[torch.randperm(len(crops))], batch_size=64, seed=seed)
    done = lived(case(model, data, adam(model, 4e-3)), 16, None, cosine)
    return {**done, "eval_batches": list(whole[448:].split(32))}


# Asked: without the skips it is worse, so the picture goes around the narrow part.
@healthy(steps=0, bar=0.6)
def skips_of_a_trained_denoiser(seed):
    """Examine a denoiser with skips after training; noise is drawn anew each time."""
    x = phantoms(448, seed, 24)

    def corrupt(clean):
        return clean + 0.25 * torch.randn_like(clean), clean

    model = UNet(1, 1, w=8)
    data = loader(x[:384], batch_size=32, seed=seed)
    begun = case(model, data, adam(model, 4e-3), pair=corrupt)
    return lived(begun, 20, [x[384:]], cosine)


# Asked: the loss falls in three stairs, each when the rate is divided by five.
@healthy(steps=0, bar=0.7)
def stairs_of_three_rates(seed):
    """Examine a run whose loss fell in stairs, when the rate was made smaller."""
    x = beats(640, seed)
    model = Series(1, 96, 12, act=nn.ReLU)
    begun = case(
        model,
        loader(x[:512], batch_size=32, seed=seed),
        sgd(model, 0.5, momentum=0.9, nesterov=True),
    )
    return lived(begun, 30, [x[512:]], lambda part: 0.2 ** int(3 * part))


# Asked: cross-entropy is 0.002 and still halves every few epochs. When is it enough?
@healthy(steps=0, bar=0.9)
def every_letter_right_already(seed):
    """Examine a run that has every letter right; only its certainty still grows."""
    x = words(640, seed)
    model = dense((6, 16), (96,), 16, last=None)

    def loss(scores, target):
        return F.cross_entropy(scores.flatten(0, 1), target.flatten(0, 1).argmax(1))

    begun = case(model, loader(x[:512], batch_size=32, seed=seed), loss=loss)
    done = lived({**begun, "optimizer": adam(model, 4e-3)}, 30, [x[512:]], cosine)
    return {**done, "view": lambda scores: scores.softmax(-1)}


# Asked: stopped after some epochs to look; loss as a number only, no record kept.
@healthy(steps=100, bar=0.6)
def looked_at_half_way(seed):
    """Look at a run half way, at its full rate, without a record of its losses."""
    x = phantoms(448, seed)
    model = dense((1, 32, 32), (128,), 20, act=nn.GELU, last=nn.Sigmoid)
    begun = case(model, loader(x, batch_size=32, seed=seed), adam(model, 2e-3))
    train(begun, 200)
    return begun


# Asked: the penalty on squares of the code is larger than the error by now.
@healthy(steps=0, bar=0.6)
def penalty_above_the_error_at_last(seed):
    """Examine a run whose error has fallen below its small penalty on the code."""
    x = machine(640, seed)[torch.randperm(640)]
    plain = dense((3, 32), (96,), 10, act=nn.GELU, last=None)
    model = Coded(plain.encoder, plain.decoder)

    def loss(out, target):
        error = F.mse_loss(out["reconstruction"], target)
        return error + 2e-3 * out["z"].square().mean()

    data = loader(x[:512], batch_size=32, seed=seed)
    begun = case(model, data, adam(model, 3e-3), loss=loss)
    return lived(begun, 30, [x[512:]], cosine)
