# %% [markdown]
# # 05 · Training and validation: solutions
#
# Each exercise ends in claims, so that you can compare more than the code.

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
# The `Trainer` of the chapter, once more and in one piece: a notebook cannot
# import from another. A test of the course holds both equal.

# %%
import torch.nn.functional as F
from ae_lib.baselines import MeanImage
from ae_lib.metrics import mse, reconstruct
from ae_lib.models import ConvAutoencoder

images = data.load("cifar10", limit=1_536)
train, validation = data.hold_out(images, 512)


def new_model(seed=0):
    torch.manual_seed(seed)
    return ConvAutoencoder(latent_dim=200)


# %%
class Trainer:
    def __init__(
        self, model, train, validation, lr=1e-3, batch_size=64, seed=0
    ):
        self.model, self.train, self.validation = model, train, validation
        self.batch_size, self.seed = batch_size, seed
        self.optimizer = torch.optim.Adam(model.parameters(), lr=lr)
        self.train_loss, self.val_loss = [], []

    def step(self, x):
        loss = F.mse_loss(self.model(x), x)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def train_epoch(self, epoch):
        self.model.train()
        total = 0.0
        for pixels in data.batches(
            self.train.pixels, self.batch_size, seed=self.seed, epoch=epoch
        ):
            total += self.step(data.to_unit(pixels)) * len(pixels)
        return total / len(self.train)

    def validate(self):
        return mse(self.validation, reconstruct(self.model, self.validation))


# %% [markdown]
# ## Exercise 1
#
# `mse_loss` is a mean over its batch, so it is multiplied by the size of the
# batch before it is added up. With 10 images in batches of 4 the plain mean of
# the three losses would count the last two images double.


# %% tags=["exercise"]
# Exercise 05.1
import torch.nn.functional as F


def train_epoch(model, optimizer, x, batch_size):
    """Take one step for each batch; return the mean loss, a number.

    x is (N, C, H, W) in [0, 1]; the loss is the mean squared error.
    """
    # --- solution
    model.train()
    total = 0.0
    for batch in x.split(batch_size):  # the last one may be smaller
        loss = F.mse_loss(model(batch), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(batch)
    return total / len(x)
    # --- end


# %%
from ae_lib import exercises

exercises.check("05.1", train_epoch)

# %% [markdown]
# ## Exercise 2
#
# `model.train()` at the end would do for most networks, and would wake a
# frozen batch normalisation in the others. `ae_lib.metrics.reconstruct` does
# it as here.


# %% tags=["exercise"]
# Exercise 05.2
def validate(model, x, batch_size):
    """Return the mean squared error over x (N, C, H, W), a number."""
    # --- solution
    modes = [(part, part.training) for part in model.modules()]
    model.eval()
    total = 0.0
    with torch.no_grad():
        for batch in x.split(batch_size):
            error = (model(batch) - batch).square().mean()
            total += error.item() * len(batch)
    for part, training in modes:
        part.training = training
    return total / len(x)
    # --- end


# %%
from ae_lib import exercises

exercises.check("05.2", validate)

# %% [markdown]
# ## Exercise 3
#
# The loop takes the bug as its arguments: other images, or another model
# whose weights the optimizer gets, or gradients that are never cleared.

# %%
x = train[:8].unit()  # (8, 3, 32, 32)


def final_loss(x, moved=None, clear=True, steps=60):
    model = new_model()
    moved = moved or model
    optimizer = torch.optim.Adam(moved.parameters(), lr=1e-3)
    for _ in range(steps):
        loss = F.mse_loss(model(x), x)
        if clear:
            optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


# %%
mean_of_eight = mse(x, MeanImage.fit(x)(x))
left = {
    "no bug": final_loss(x),
    "images in [-1, 1]": final_loss(2 * x - 1) / 4,
    "weights of another model": final_loss(x, moved=new_model(seed=1)),
    "no zero_grad": final_loss(x, clear=False),
}

# %% [markdown]
# Each loss, as a share of the error of the mean of the eight:

# %%
left = {name: loss / mean_of_eight for name, loss in left.items()}
for name, share in left.items():
    print(f"{name:<25} {share:.3f}")

# %%
# NBVAL_CHECK_OUTPUT
correct, range_, other, kept = left.values()
claim("without a bug little is left", correct, "<", 0.15)
claim("images in [-1, 1] give themselves away", range_, ">", 0.7)
claim("so does an optimizer with other weights", other, ">", 1)
claim("without zero_grad the loss still falls", kept, "<", 0.7)
claim("but not as far, by a factor", kept / correct, ">", 3)

# %% [markdown]
# In [−1, 1] the squared errors are four times as large, hence the factor 4.
# A sigmoid cannot answer a negative number, and most of the error stays. An
# optimizer that moves other weights leaves the loss where it was. Both are
# found.
#
# The forgotten `zero_grad` slips through if you only ask whether the loss
# falls. The gradients of all steps add up, like a momentum that never decays;
# Adam divides by their size, and the loss sinks, jumping. What gives it away
# is the comparison: eight images should leave almost nothing.
#
# What one batch can never find is a bug in what it does not run: a model that
# is not switched to `eval()` for validation, validation images that are also
# training images, a last batch that counts for too much.

# %% [markdown]
# ## Exercise 4
#
# Keep a copy of the best weights, and count the epochs since. The copy has to
# be a copy: `state_dict()` alone hands out the tensors that go on changing.


# %%
class Patient(Trainer):
    def fit(self, epochs, patience=4):
        best, since = float("inf"), 0
        for epoch in range(epochs):
            self.train_loss.append(self.train_epoch(epoch))
            self.val_loss.append(self.validate())
            since += 1
            if self.val_loss[-1] < best:
                best, since = self.val_loss[-1], 0
                state = self.model.state_dict()
                kept = {name: t.clone() for name, t in state.items()}
            if since == patience:
                break
        self.model.load_state_dict(kept)


# %%
patient = Patient(new_model(), train[:64], validation[:128], batch_size=16)
patient.fit(epochs=60)
stopped = len(patient.val_loss)
print(
    f"stopped after {stopped} epochs,"
    f" {patient.val_loss[-1]:.4f}, best {min(patient.val_loss):.4f}"
)

# %%
# NBVAL_CHECK_OUTPUT
claim("it stopped before the end", stopped, "<", 60)
now, best = patient.validate(), min(patient.val_loss)
claim("the best weights are back", now, "~", best, tol=1e-6)

# %% [markdown]
# Patience is a setting like any other. Too short, and a bump in a noisy curve
# ends the run; the curve of so few images is noisy. And since the best epoch
# is chosen with the validation images, its error on them is flattered a
# little: that is one more reason to keep test images.

# %% [markdown]
# ## Exercise 5
#
# One epoch of 1,024 images is 64, 16 or 4 steps. For the comparison at equal
# seconds the larger batches get more epochs.

# %%
import time

scores, seconds = {}, {}
for size, epochs in ((16, 1), (64, 1), (64, 2), (256, 1), (256, 2)):
    trainer = Trainer(new_model(), train, validation, batch_size=size)
    start = time.perf_counter()
    for epoch in range(epochs):
        trainer.train_epoch(epoch)
    seconds[size, epochs] = time.perf_counter() - start
    scores[size, epochs] = trainer.validate()

# %% [markdown]
# On the left the batch size and the number of epochs:

# %%
for key, score in scores.items():
    print(f"{key!s:<9} {seconds[key]:4.1f} s, MSE {score:.4f}")

# %%
# NBVAL_CHECK_OUTPUT
small, large = scores[16, 1] / scores[64, 1], scores[64, 1] / scores[256, 1]
claim("at equal images, batches of 16 end below 64", small, "<", 0.9)
claim("and batches of 64 below 256", large, "<", 0.9)
again = scores[16, 1] / scores[64, 2]
claim("16 once is still below 64 twice over", again, "<", 1)

# %% [markdown]
# At equal images small batches win, because they make more steps, and early on
# every step helps. They cost more seconds for the same images; yet 64 needs
# more than twice the epochs to catch up. So on two cores, at this learning
# rate and this early: 16. Two cautions: the learning rate was not adapted to
# the size, and later in a run the noise of small batches is in the way. A GPU
# is idle with 16 images: there, measure the images per second first, and
# choose the smallest batch that keeps it busy.
