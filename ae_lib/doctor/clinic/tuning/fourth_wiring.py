"""Mistakes between parameters, gradients and the loop, from further questions.

Each program is written anew after the idea of its source, on small data of our own.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import digits, loader, patches, scenes, waves
from ae_lib.doctor.clinic.measures import code_matters, train
from ae_lib.doctor.clinic.parts import AE, adam, conv, dense, kl, sgd, stack
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.fourth_models import (
    DictVAE,
    SignalAE,
    UNet,
    heartbeats,
    residual,
    spots,
)


class Drawers(nn.Module):
    """Keep the stages of the decoder in a dictionary."""

    def __init__(self, d: int, k: int, registered: bool):
        super().__init__()
        self.encoder = nn.Sequential(*stack((d, 96)), nn.Linear(96, k))
        stages = {"wide": nn.Linear(k, 96), "out": nn.Linear(96, d)}
        self.stages = nn.ModuleDict(stages) if registered else stages

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.stages["wide"](self.encoder(x.flatten(1))))
        return self.stages["out"](h).sigmoid().view_as(x)


# Source: https://github.com/pytorch/pytorch/issues/666
@faulty("wiring.unoptimised", steps=250, bar=0.4)
def layers_in_a_dictionary(seed, fixed):
    """Keep the decoder's layers in a plain dictionary, where nobody finds them."""
    x, y = digits(640, seed, size=16)
    model = Drawers(256, 24, registered=fixed)
    return {
        "model": model,
        "batches": loader(x, y, seed=seed),
        "optimizer": adam(model),
    }


# Source: https://github.com/pytorch/pytorch/issues/54765
# Source: https://github.com/LaurentMazare/ocaml-torch/issues/36
@faulty("wiring.unoptimised", steps=300, bar=0.55)
def decoder_exchanged_afterwards(seed, fixed):
    """Exchange the decoder for a larger one after the optimizer was made."""
    x = scenes(512, seed)[0]
    model = conv((3, 16, 16), 24, act=nn.ELU)
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)
    model.decoder = conv((3, 16, 16), 24, width=24, act=nn.ELU).decoder
    if fixed:
        optimizer = torch.optim.AdamW(model.parameters(), 2e-3)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": optimizer}


class Levels(AE):
    """Round the code to quarters, with or without a gradient around the rounding."""

    through = False

    def encode(self, x: Tensor) -> Tensor:
        z = self.encoder(x).tanh()
        q = (4 * z).round() / 4
        return z + (q - z).detach() if self.through else q


# Source: https://github.com/Justin-Tan/generative-compression/issues/51
@faulty("wiring.no-gradient", steps=400, bar=0.35)
def rounded_for_compression(seed, fixed):
    """Round the code to a few levels, through which no gradient comes."""
    x, y = digits(768, seed, size=12)
    plain = dense((1, 12, 12), (128,), 12)
    model = Levels(plain.encoder, plain.decoder)
    model.through = fixed
    data = loader(x, y, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


class Distribution(DictVAE):
    """Draw the code from a distribution object."""

    draw = "sample"

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        h = self.encoder(x)
        mu, logvar = self.fc_mu(h), self.fc_logvar(h)
        posterior = torch.distributions.Normal(mu, (0.5 * logvar).exp())
        z = getattr(posterior, self.draw)()
        return {"x_hat": self.decoder(z), "mu": mu, "logvar": logvar}


# Source: https://github.com/AntixK/PyTorch-VAE/issues/12
@faulty("wiring.no-gradient", steps=300, bar=0.3)
def drawn_by_sample(seed, fixed):
    """Draw the code by sample(), which has no gradient, not by rsample()."""
    x = spots(512, seed, size=12)
    encoder = nn.Sequential(nn.Flatten(), *stack((144, 96)))
    decoder = nn.Sequential(*stack((6, 96)), nn.Linear(96, 144), nn.Sigmoid())
    decoder.append(nn.Unflatten(1, (1, 12, 12)))
    model = Distribution(encoder, decoder, 96, 6)
    model.draw = "rsample" if fixed else "sample"

    def loss(output, target):
        error = (output["x_hat"] - target).square().sum((1, 2, 3)).mean() / 0.04
        return error + kl(output["mu"], output["logvar"]).sum(1).mean()

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model, 3e-3)}


# Source: https://github.com/salesforce/corr_based_prediction/issues/1
@faulty("wiring.zero-grad", steps=240, bar=0.5)
def cleared_before_the_loop(seed, fixed):
    """Clear the gradients once, above the loop over batches."""
    x = waves(512, seed)
    model = SignalAE(64, 10, act=nn.ELU)
    optimizer = sgd(model, 0.05, momentum=0.9)
    optimizer.zero_grad()

    def step(model, batch):
        if fixed:
            optimizer.zero_grad()
        loss = F.mse_loss(model(batch), batch)
        loss.backward()
        optimizer.step()
        return loss.item()

    case = {"model": model, "batches": loader(x, seed=seed)}
    return {**case, "optimizer": optimizer, "step": step}


# Source: https://github.com/patrickloeber/pytorchTutorial/issues/19
@faulty("wiring.zero-grad", steps=200, bar=0.4)
def cleared_just_before_the_step(seed, fixed):
    """Log the loss, clear the gradients, and only then let the optimizer step."""
    x, y = scenes(448, seed)
    model = residual((3, 16, 16), 32, act=nn.SiLU)
    optimizer = torch.optim.RMSprop(model.parameters(), 1e-3)

    def step(model, batch):
        images, _ = batch
        model.train()
        if fixed:
            optimizer.zero_grad(set_to_none=False)
        error = F.smooth_l1_loss(model(images), images)
        error.backward()
        if not fixed:
            optimizer.zero_grad(set_to_none=False)
        optimizer.step()
        return float(error)

    case = {"model": model, "batches": loader(x, y, seed=seed)}
    return {**case, "optimizer": optimizer, "step": step}


class Dropping(AE):
    """Drop most hidden units by the functional form of dropout."""

    aware = False

    def encode(self, x: Tensor) -> Tensor:
        h = F.relu(self.encoder[0](x.flatten(1)))
        h = F.dropout(h, 0.85, training=self.training if self.aware else True)
        return self.encoder[1](h)


# Source: https://github.com/delip/PyTorchNLPBook/issues/28
# Source: https://github.com/rixwew/pytorch-fm/issues/21
@faulty("wiring.mode", steps=0, bar=0.48)
def dropout_that_ignores_eval(seed, fixed):
    """Call F.dropout without its second argument: it drops in eval mode too."""
    x, y = digits(640, seed, size=12)
    encoder = nn.Sequential(nn.Linear(144, 96), nn.Linear(96, 24))
    decoder = nn.Sequential(*stack((24, 96)), nn.Linear(96, 144), nn.Sigmoid())
    model = Dropping(encoder, decoder.append(nn.Unflatten(1, (1, 12, 12))))
    model.aware = fixed
    case = {"model": model, "batches": loader(x, y, seed=seed)}
    case |= {"optimizer": adam(model)}
    train(case, 500)
    return case


# Source: https://github.com/pytorch/examples/issues/289
# Source: https://github.com/ludwig-ai/ludwig/pull/2100
@faulty("wiring.mode", steps=0, bar=0.4)
def momentum_of_the_other_library(seed, fixed):
    """Set the batch norm's momentum so low that its statistics never arrive."""
    x = patches(512, seed)
    model = residual((3, 16, 16), 32, act=nn.ELU)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.1 if fixed else 0.001
    case = {"model": model, "batches": loader(x, batch_size=32, seed=seed)}
    case |= {"optimizer": adam(model, 3e-3)}
    train(case, 150)
    model.eval()
    return case


class Corrected(AE):
    """Let the decoder correct the input, as a residual network does."""

    around = True

    @property
    def bottleneck(self) -> nn.Module:
        return self.encoder

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x)) + (x if self.around else 0)


@faulty("wiring.bypass", steps=0, measure=code_matters, bar=0.5)
def input_added_to_the_output(seed, fixed):
    """Add the input to the output so that the network learns a correction only."""
    x = heartbeats(512, seed)
    plain = SignalAE(96, 6, act=nn.GELU)
    model = Corrected(plain.encoder, plain.decoder)
    model.around = not fixed
    case = {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}
    train(case, 200)
    return case


# Source: https://github.com/milesial/Pytorch-UNet/issues/252
@faulty("wiring.bypass", steps=0, measure=code_matters, bar=0.5)
def segmentation_network_as_autoencoder(seed, fixed):
    """Take a U-Net, skip connections and all, to compress images."""
    x, y = scenes(448, seed, size=16)
    model = UNet(3, 10, k=4, skips=not fixed)
    case = {"model": model, "batches": loader(x, y, batch_size=32, seed=seed)}
    case |= {"optimizer": adam(model, 3e-3)}
    train(case, 200)
    return case
