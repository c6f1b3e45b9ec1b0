# %% [markdown]
# # 11 · When reconstructions disappoint: solutions
#
# In each case one change is accepted and a look-alike is rejected, and a
# measurement told them apart *before* either was tried.

# %%
# Set-up, the same in every chapter; on Colab it also fetches the library.
import importlib.util, subprocess, sys

if importlib.util.find_spec("ae_lib") is None:
    url = "git+https://github.com/convolutional-autoencoders/course"
    pip = "pip install -q --no-deps torchmetrics lightning-utilities".split()
    subprocess.run([sys.executable, "-m", *pip, url], check=True)
import torch

from ae_lib import claim, data, pick, plots

# %% [markdown]
# What the chapter defined, once more: a notebook cannot import from another. A
# test of the course holds the two equal.

# %%
import torch.nn.functional as F
from torch import nn
from ae_lib import doctor
from ae_lib.baselines import PCA
from ae_lib.metrics import effective_rank, mse, r_squared, reconstruct
from ae_lib.recipe import one_cycle

images = data.load("cifar10", limit=736)
train_images, held = data.hold_out(images, 256)
x, x_val = train_images.unit(), held.unit()  # (480 and 256, 3, 32, 32)


def r2(model, x):
    base = mse(x, x.mean(0).expand_as(x))  # the mean of these images
    return r_squared(mse(x, reconstruct(model, x)), base)


# %%
def train(model, x, epochs=6, *, loss=F.mse_loss, penalty=None, noise=0.0,
          weights=None, decay=0.0, watch=None, seed=0):  # fmt: skip
    random = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(
        model.parameters(), weight_decay=decay, fused=True
    )
    steps, done = epochs * -(-len(x) // 16), 0
    for _ in range(epochs):
        model.train()
        for rows in torch.randperm(len(x), generator=random).split(16):
            optimizer.param_groups[0]["lr"] = 1e-2 * one_cycle(done / steps)
            seen = target = x[rows]  # (16, C, H, W)
            if noise:
                grain = torch.randn(target.shape, generator=random)
                seen = target + noise * grain
            x_hat = model(seen)
            value = loss(x_hat, target)
            if weights is not None:
                value = (weights[rows] * (x_hat - target) ** 2).mean()
            if penalty is not None:
                value = value + penalty(model, target)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            done += 1
        if watch is not None:
            watch(model.eval())
    return model.eval()


# %% [markdown]
# The network of the chapter.


# %%
class Small(nn.Module):
    """Halve the image twice, squeeze it through `latent_dim`, draw it."""

    def __init__(self, latent_dim=32, width=16, dropout=0.0, last=nn.Sigmoid):
        super().__init__()
        w, grid = width, (2 * width, 8, 8)
        self.encoder = nn.Sequential(
            nn.Conv2d(3, w, 4, 2, 1), nn.BatchNorm2d(w), nn.GELU(),
            nn.Conv2d(w, 2 * w, 4, 2, 1), nn.BatchNorm2d(2 * w), nn.GELU(),
            nn.Flatten(), nn.Linear(128 * w, latent_dim),
        )  # fmt: skip
        self.decoder = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(latent_dim, 128 * w),
            nn.Unflatten(1, grid), nn.BatchNorm2d(2 * w), nn.GELU(),
            nn.ConvTranspose2d(2 * w, w, 4, 2, 1), nn.BatchNorm2d(w),
            nn.GELU(), nn.ConvTranspose2d(w, 3, 4, 2, 1), last(),
        )  # fmt: skip

    def forward(self, x):
        return self.decoder(self.encoder(x))


# %%
def small(latent_dim=32, width=16, seed=0, **options):
    torch.manual_seed(seed)
    return Small(latent_dim, width, **options)


# %% [markdown]
# The three patients and the verdict. `names` asks the doctor whether it names
# a fault.


# %%
from functools import cache  # no patient is trained twice the same way


def patient_a(latent_dim=128, width=8, epochs=6, loss=F.mse_loss, inner=1):
    """Complaint: soft pictures, although the code is long."""
    model = small(latent_dim, width)
    wide, full = model.decoder[1].in_features, model.decoder[1].out_features
    model.decoder[1] = nn.Sequential(
        nn.Linear(wide, inner), nn.Linear(inner, full)
    )
    return train(model, x, epochs, loss=loss)


@cache
def sickness_a(**change):
    """Share of the variance of new images that is lost."""
    return 1 - r2(patient_a(**change), x_val)


# %%
def patient_b(decay=0.0, dropout=0.0, epochs=3, latent_dim=64, mean=0.5):
    """Complaint: good on training images, far off on new ones."""
    model = train(small(latent_dim, dropout=dropout), x, epochs, decay=decay)
    return model, (x_val - mean) / 0.5 if mean else x_val


@cache
def sickness_b(**change):
    """Error on new images, less that on training images."""
    model, new = patient_b(**change)
    with torch.no_grad():
        return (F.mse_loss(model(new), new) - F.mse_loss(model(x), x)).item()


# %%
def share(x_hat, y):
    return (1 - (x_hat - y).square().mean() / y.var(0).mean()).item()


# %% [markdown]
# The third patient has a class of its own.


# %%
class Patient(Small):
    def __init__(self, latent_dim, window):
        super().__init__(latent_dim, last=nn.Identity)
        self.window, self.blend = window, nn.Conv2d(6, 3, 3, padding=1)

    def forward(self, x):
        drawn, seen = super().forward(x), x if self.window else 0 * x
        return torch.sigmoid(self.blend(torch.cat([drawn, seen], 1)))


def patient_c(latent_dim=16, decay=0.0, noise=0.0, epochs=3, window=True):
    """Complaint: splendid pictures, and a code that is good for nothing."""
    torch.manual_seed(0)
    model = Patient(latent_dim, window)
    return train(model, x, epochs, decay=decay, noise=noise)


# %%
@cache
def sickness_c(**change):
    """R² that remains when each image is given another image's code."""
    model = patient_c(**change)
    if share(model(x_val), x_val) < 0.1:
        return 1.0  # a network that draws nothing is not cured
    codes = model.encoder(x_val).roll(1, 0).detach()
    model.encoder.forward = lambda x: codes
    return max(0.0, share(model(x_val), x_val))


# %%
def verdict(sickness, **change):
    """Accept a change that takes a third of a patient's sickness away."""
    before, after = sickness(), sickness(**change)
    print("accepted" if after < before / 1.5 else "rejected", change)
    return after / before


def names(code, model, x, **more):
    report = doctor.examine(model, x.split(50), budget_seconds=4, **more)
    print(report.findings[0] if report.faults else "no fault found")
    return report.faults.count(code)


# %% [markdown]
# ## Exercise 1
#
# The program once more:


# %%
def dull(seed=0):
    """Return an autoencoder for (B, 3, 16, 16) with a code of 64 numbers."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 16, 4, stride=4), nn.GELU(),  # (B, 16, 4, 4)
        nn.Flatten(), nn.Linear(256, 64),  # (B, 64), the code
        nn.Linear(64, 8), nn.Unflatten(1, (8, 1, 1)),  # (B, 8, 1, 1)
        nn.ConvTranspose2d(8, 24, 4), nn.GELU(),  # (B, 24, 4, 4)
        nn.ConvTranspose2d(24, 3, 4, stride=4),  # (B, 3, 16, 16)
    )  # fmt: skip


# %% [markdown]
# In how many directions do the numbers differ behind each linear layer? On the
# middle of the photographs, before any training:

# %%
model, h = dull(), x_val[:, :, 8:24, 8:24]
with torch.no_grad():
    for layer in model:
        h = layer(h)
        if isinstance(layer, nn.Linear):
            print(tuple(h.shape[1:]), f"{effective_rank(h):.1f} directions")

# %% [markdown]
# The code is wide, and the decoder begins with 8 numbers at a single place.
# Whatever the code holds, eight numbers leave it. An effective rank does not
# depend on how far the training has gone, so a network that was stopped too
# early is not taken for this one.


# %% tags=["exercise"]
# Exercise 11.1
from torch import nn

from ae_lib.metrics import effective_rank


class Diagnosis:
    """The program `dull`: its cause, what shows it, and what mends it."""

    def cause(self):
        """Name the cause, in one of the doctor's words."""
        # --- solution
        return "code.too-small"
        # --- end

    def measure(self, model, x):
        """Return a number that is far off in this program alone."""
        # --- solution
        with torch.no_grad():
            return effective_rank(model[:5](x).flatten(1))
        # --- end

    def repair(self, model):
        """Return a model that can be trained as this one was."""
        # --- solution
        model[4] = nn.Linear(64, 128)
        model[5] = nn.Unflatten(1, (8, 4, 4))
        model[6] = nn.Conv2d(8, 24, 3, padding=1)
        return model
        # --- end


# %%
from ae_lib import exercises

exercises.check("11.1", Diagnosis)

# %% [markdown]
# ## Exercise 2
#
# PCA with four numbers cannot learn images by heart. If *it* fails on the new
# images, they are of another kind. If only the network does, it has learned by
# heart.


# %% tags=["exercise"]
# Exercise 11.2
import torch.nn.functional as F

from ae_lib.baselines import PCA


def diagnose(model, x, new):
    """Return why a network is worse on new images than on its training images.

    x (N, 3, 16, 16) are the training images, new (M, 3, 16, 16) the others.
    One of "fit.overfit", "data.shift", "none".
    """
    # --- solution
    few = PCA.fit(x, 4)
    if F.mse_loss(few(new), new) > 2 * F.mse_loss(few(x), x):
        return "data.shift"
    gap = F.mse_loss(model(new), new) / F.mse_loss(model(x), x)
    return "fit.overfit" if gap > 1.5 else "none"
    # --- end


# %%
from ae_lib import exercises

exercises.check("11.2", diagnose)

# %% [markdown]
# The range alone would have missed the images that stand on their heads, and
# the noisy ones.
#
# ## Exercise 3
#
# The program's $R^2$ beside PCA's, and the number of directions in which its
# outputs differ.

# %%
soft = patient_a()
pca = PCA.fit(x, 128)
scores = {k: round(r2(pca.truncate(k), x_val), 2) for k in (1, 4, 128)}
with torch.no_grad():
    inside = soft.decoder[:2](soft.encoder(x_val))  # (256, 2048)
own, directions = r2(soft, x_val), effective_rank(inside)
print(f"R² {own:.2f}, PCA {scores}, directions {directions:.1f}")
named = names("code.too-small", soft, x)

# %%
# NBVAL_CHECK_OUTPUT
claim("it is no better than PCA with 4 components", own - scores[4], "<", 0)
claim("behind the code a single direction is left", directions, "<", 1.1)
right = verdict(sickness_a, inner=128)
look_alike = verdict(sickness_a, latent_dim=256)
claim("the layer behind the code was the waist", right, "<", 0.64)
claim("a longer code changes little", look_alike, ">", 0.8)
claim("the doctor names code.too-small", named, ">", 0)

# %% [markdown]
# The real bottleneck is the narrowest place that all information passes,
# whatever the argument `latent_dim` says. The doctor finds it by following the
# shapes.
#
# ## Exercise 4
#
# PCA of the training images cannot learn 480 images by heart with 16
# components. If it fails on the new images, too, they are other images.

# %%
model, new = patient_b()
few = pca.truncate(16)
off = mse(x, few(x)), F.mse_loss(few(new), new).item()
print(f"PCA-16: training {off[0]:.4f}, new {off[1]:.4f}")
print(f"range of the new images {new.min():.1f} to {new.max():.1f}")
named = names("data.shift", model, x, eval_batches=new.split(64))

# %%
# NBVAL_CHECK_OUTPUT
claim("PCA-16 is far off on the new images as well", off[1] / off[0], ">", 3)
right = verdict(sickness_b, mean=0)
look_alike = verdict(sickness_b, decay=1e-3)
claim("the same range for both is the cure", right, "<", 0.66)
claim("weight decay is not", look_alike, ">", 0.7)
claim("the doctor names data.shift", named, ">", 0)

# %% [markdown]
# New images were scaled to [−1, 1], training images were not. Overfitting is a
# gap between two samples of the *same* kind; look at the kind first.
#
# ## Exercise 5
#
# Give every image its neighbour's code. If the pictures survive, they do not
# come from the code.

# %%
exchanged = sickness_c()
model = patient_c()
print(f"R² {r2(model, x_val):.3f}, with exchanged codes {exchanged:.3f}")
named = names("wiring.bypass", model, x)

# %%
# NBVAL_CHECK_OUTPUT
claim("without its own code an image comes back", exchanged, ">", 0.5)
right = verdict(sickness_c, window=False)
look_alike = verdict(sickness_c, latent_dim=4)
claim("closing the window is the cure", right, "<", 0.66)
claim("a smaller code is not", look_alike, ">", 0.7)
claim("the doctor names wiring.bypass", named, ">", 0)

# %% [markdown]
# It looks like a copy, and it is one; but the copy goes around the code and
# not through it. Whatever is done to the code, smaller, noisier, penalised,
# changes nothing while the window is open.
