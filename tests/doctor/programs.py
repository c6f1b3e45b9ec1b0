"""Small healthy and faulty autoencoder programs, to test the doctor on."""

import torch
import torch.nn.functional as F
from torch import nn

SIDE = 12


def pictures(n=256, channels=1, seed=0, side=SIDE):
    """Return smooth images in [0, 1], (n, channels, side, side), of 8 causes."""
    maker = torch.Generator().manual_seed(seed)
    basis = torch.randn(8, channels, 3, 3, generator=torch.Generator().manual_seed(7))
    basis = F.interpolate(basis, (side, side), mode="bicubic")
    weights = torch.randn(n, 8, generator=maker)
    return torch.sigmoid(1.5 * torch.einsum("nk,kchw->nchw", weights, basis))


class Dense(nn.Module):
    """A dense autoencoder; the pieces can be exchanged."""

    def __init__(self, width=SIDE * SIDE, k=8, act=nn.ReLU, last=nn.Sigmoid, seed=0):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.encoder = nn.Sequential(
                nn.Flatten(), nn.Linear(width, 48), act(), nn.Linear(48, k)
            )
            self.decoder = nn.Sequential(
                nn.Linear(k, 48), act(), nn.Linear(48, width), last()
            )

    def forward(self, x):
        return self.decoder(self.encoder(x)).reshape(x.shape)


class Variational(Dense):
    """A VAE that returns (x_hat, mu, logvar)."""

    def __init__(self, **options):
        super().__init__(**options)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            self.spread = nn.Linear(48, 8)

    def forward(self, x):
        h = self.encoder[:-1](x)
        mu, logvar = self.encoder[-1](h), self.spread(h)
        z = mu
        if self.training:
            z = mu + torch.randn_like(mu) * (logvar / 2).exp()
        return self.decoder(z).reshape(x.shape), mu, logvar


def elbo(beta, error="sum"):
    """Return a VAE loss: squared error summed or averaged, plus beta times KL."""

    def loss(output, target):
        x_hat, mu, logvar = output
        squares = (x_hat - target).square().flatten(1)
        squares = 10 * squares.sum(1) if error == "sum" else squares.mean(1)
        kl = 0.5 * (mu.square() + logvar.exp() - 1 - logvar).sum(1)
        return (squares + beta * kl).mean()

    return loss


def adam(model, lr=2e-3):
    """Return Adam on everything in the model."""
    return torch.optim.Adam(model.parameters(), lr)


def batches(x, size=64):
    """Cut images into a list of batches."""
    return list(x.split(size))


def fit(model, x, steps=150, lr=3e-3):
    """Train a model on batches of x with mean squared error."""
    optimizer = adam(model, lr)
    for at in range(steps):
        rows = x.roll(-64 * at, 0)[:64]
        optimizer.zero_grad()
        F.mse_loss(model(rows), rows).backward()
        optimizer.step()
    return model


def faulty():
    """Yield (code, arguments of examine) for one small program per fault."""
    x = pictures()
    plain = {"batches": batches(x)}

    def case(code, model, lr=2e-3, **more):
        given = {"model": model, **plain, "optimizer": adam(model, lr), **more}
        return code, given

    broken = x.clone()
    broken[3, 0, 0, 0] = float("nan")
    yield case("data.nonfinite", Dense(), batches=batches(broken))
    yield case("data.scale", Dense(), batches=batches(255 * x))
    yield case("data.order", Dense(), batches=[x[:64], x[:0], x[64:128], x[:0]])
    yield case("data.order", Dense(), batches=[x[:64]] * 8)
    order = x.mean((1, 2, 3)).argsort()
    yield case("data.order", Dense(), batches=batches(x[order], 16))
    yield case("data.target", Dense(), pair=lambda b: (b, b.roll(1, 0)))
    noise = 0.5 * torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    swapped = list(zip(batches(x), batches(x + noise), strict=True))
    yield case("data.target", Dense(), batches=swapped)
    rgb = pictures(channels=3)
    mixed = rgb.permute(0, 2, 3, 1).reshape(rgb.shape)
    yield case("data.layout", Dense(3 * SIDE * SIDE), batches=batches(mixed))
    yield case("data.shift", Dense(), eval_batches=[1 - 3 * x])
    yield case("output.range", Dense(), batches=batches(2 * x - 1))

    def twice(output, target):
        return F.binary_cross_entropy_with_logits(output, target)

    yield case("loss.domain", Dense(), loss=twice)
    yield case("loss.domain", Dense(), loss=lambda o, t: -F.mse_loss(o, t))
    model = Dense()
    yield case("wiring.unoptimised", model, optimizer=adam(model.encoder))
    cut = Dense()
    cut.encoder.append(Detach())
    yield case("wiring.no-gradient", cut)
    model = Dense()
    optimizer = adam(model)
    more = {"optimizer": optimizer, "step": hoarder(optimizer)}
    yield case("wiring.zero-grad", model, **more)
    always = Dense()
    always.encoder.append(AlwaysDropout())
    yield case("wiring.mode", always)
    for code, std in (("signal.init-scale", 5.0), ("signal.init-scale", 1e-4)):
        model = Dense()
        for p in model.parameters():
            nn.init.normal_(p, std=std) if p.ndim > 1 else nn.init.zeros_(p)
        yield case(code, model)
    dead = Dense()
    dead.encoder.append(nn.ReLU())
    nn.init.constant_(dead.encoder[-2].bias, -20.0)
    yield case("signal.dead-units", dead)
    yield case("signal.linear", Dense(act=nn.Identity, last=nn.Identity))
    yield case("step.too-large", Dense(), 3.0)
    yield case("step.too-small", Dense(), 1e-8)
    yield case("code.too-small", Dense(k=1))
    yield case("vae.collapse", Variational(), loss=elbo(2000.0))
    yield case("loss.scale", Variational(), loss=elbo(1.0, "mean"))
    wild = Variational()
    nn.init.constant_(wild.spread.bias, 60.0)
    yield case("vae.logvar", wild, loss=elbo(1.0))
    strong = WithCode()

    def sparse(weight, detach=False):
        def loss(output, target):
            z = output[1].detach() if detach else output[1]
            return F.mse_loss(output[0], target) + weight * z.abs().mean()

        return loss

    yield case("sparse.too-strong", strong, loss=sparse(30.0))
    yield case("sparse.inert", WithCode(), loss=sparse(1e-2, detach=True))
    much = [(b + 8 * torch.randn(b.shape), b) for b in batches(x)]
    yield case("noise.too-strong", Dense(last=nn.Identity), batches=much)
    falling = {"train_loss": [1.0, 0.6, 0.4, 0.28, 0.2]}
    yield case("fit.undertrained", Dense(), history=falling)
    rising = {
        "train_loss": [1.0, 0.5, 0.3, 0.2, 0.15, 0.1, 0.08, 0.06],
        "val_loss": [1.0, 0.6, 0.5, 0.55, 0.6, 0.7, 0.8, 0.9],
    }
    yield case("fit.overfit", fit(Dense(), x), history=rising)
    around = Around()
    yield case("wiring.bypass", fit(around, x, 200))
    wide = Dense(k=144, act=nn.Identity, last=nn.Identity)
    wide.encoder, wide.decoder = nn.Flatten(), nn.Linear(144, 144)
    nn.init.eye_(wide.decoder.weight)
    nn.init.zeros_(wide.decoder.bias)
    yield case("code.identity", wide)
    yield case("fit.mean-image", constant(x), history={"train_loss": [0.1] * 5})


def healthy():
    """Yield (name, arguments of examine) for programs without a fault."""
    x = pictures()
    model = Dense()
    yield "plain", {"model": model, "batches": batches(x), "optimizer": adam(model)}
    model = Dense(last=nn.Tanh)
    yield (
        "tanh",
        {"model": model, "batches": batches(2 * x - 1), "optimizer": adam(model)},
    )
    model = Dense(last=nn.Identity)
    z = (x - x.mean()) / x.std()
    yield (
        "standardised",
        {"model": model, "batches": batches(z), "optimizer": adam(model)},
    )
    linear = nn.Sequential(
        nn.Flatten(), nn.Linear(144, 8), nn.Linear(8, 144), nn.Unflatten(1, (1, 12, 12))
    )
    yield (
        "linear",
        {"model": linear, "batches": batches(x), "optimizer": adam(linear)},
    )
    model = Variational()
    yield (
        "vae",
        {
            "model": model,
            "batches": batches(x),
            "optimizer": adam(model),
            "loss": elbo(1.0),
        },
    )
    model = fit(Dense(), x)
    for p in model.encoder.parameters():
        p.requires_grad_(False)
    optimizer = adam(model.decoder)
    yield "frozen", {"model": model, "batches": batches(x), "optimizer": optimizer}
    model = Dense()
    optimizer = adam(model)
    yield (
        "accumulation",
        {
            "model": model,
            "batches": batches(x, 16),
            "optimizer": optimizer,
            "step": accumulate(optimizer),
        },
    )
    model = Dense(last=nn.Identity)

    def logits(output, target):
        return F.binary_cross_entropy_with_logits(output, target)

    yield (
        "logits",
        {
            "model": model,
            "batches": batches(x),
            "optimizer": adam(model),
            "loss": logits,
        },
    )


class Detach(nn.Module):
    """Cut the gradient."""

    def forward(self, x):
        return x.detach()


class AlwaysDropout(nn.Module):
    """Drop values in evaluation mode too."""

    def forward(self, x):
        return F.dropout(x, 0.5)


class WithCode(Dense):
    """Return (x_hat, code)."""

    def forward(self, x):
        z = self.encoder(x)
        return self.decoder(z).reshape(x.shape), z


class Around(Dense):
    """Add the input to the output, around the bottleneck."""

    def __init__(self):
        super().__init__(last=nn.Identity)

    def forward(self, x):
        return super().forward(x) + x


def constant(x):
    """Return an autoencoder whose output is the mean image, whatever the input."""
    model = Dense(last=nn.Identity)
    with torch.no_grad():
        model.decoder[2].weight.mul_(1e-4)
        model.decoder[2].bias.copy_(x.mean(0).flatten())
    return model


def hoarder(optimizer):
    """Return a step that never clears the gradients."""

    def step(model, batch):
        loss = F.mse_loss(model(batch), batch)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def accumulate(optimizer, every=4):
    """Return a step that updates once in `every` calls."""
    count = [0]

    def step(model, batch):
        loss = F.mse_loss(model(batch), batch) / every
        loss.backward()
        count[0] += 1
        if count[0] % every == 0:
            optimizer.step()
            optimizer.zero_grad()
        return every * loss.item()

    return step
