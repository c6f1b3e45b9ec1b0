# %% [markdown]
# # 16 · Anomaly detection: solutions
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
# ## Exercise 1
#
# The threshold is a quantile of the validation errors and of nothing else.
# The test images then say whether the promise was kept, and only images that
# had no part in it can say that.


# %% tags=["exercise"]
# Exercise 16.1
def detect(validation, test, odd, promise):
    """Return a threshold, and the shares of test and odd images above it.

    All three hold errors, one for each image; promise is the share of normal
    images that may lie above the threshold.
    """
    # --- solution
    limit = validation.quantile(1 - promise)
    above = [(errors > limit).float().mean() for errors in (test, odd)]
    return limit, *above
    # --- end


# %%
from ae_lib import exercises

exercises.check("16.1", detect)

# %% [markdown]
# ## Exercise 2
#
# Sorted once, each odd score finds its place among the normal ones in a few
# steps. How many lie below it, and how many not above it? Ties are counted by
# the second only, so the mean of the two gives them a half.


# %% tags=["exercise"]
# Exercise 16.2
def auroc_by_rank(normal, odd):
    """Return the chance that an odd score is above a normal one.

    normal is (N,), odd is (M,); ties count half.
    """
    # --- solution
    order = normal.sort().values  # (N,)
    below = torch.searchsorted(order, odd, right=False)  # (M,)
    not_above = torch.searchsorted(order, odd, right=True)
    return ((below + not_above) / 2).mean() / len(normal)
    # --- end


# %%
from ae_lib import exercises

exercises.check("16.2", auroc_by_rank)

# %% [markdown]
# A hundred thousand of each, which are ten thousand million pairs, take a
# blink of an eye:

# %%
# NBVAL_CHECK_OUTPUT
from ae_lib.anomaly import auroc

random = torch.Generator().manual_seed(0)
low, high = torch.randn(2, 100_000, generator=random)
off = auroc_by_rank(low, high + 1) - auroc(low, high + 1)
claim("the library says the same", off, "~", 0, tol=1e-5)

# %% [markdown]
# ## Exercise 3
#
# Two Gaussians of deviation 1 whose means differ by $d$ have an AUROC of
# $\Phi(d/\sqrt{2})$; 0.95 needs $d = 2.33$. One million parts make the rare
# ones numerous enough to count.

# %%
from ae_lib.anomaly import auroc, threshold_at

random = torch.Generator().manual_seed(0)
d = 2**0.5 * torch.special.ndtri(torch.tensor(0.95))
validation = torch.randn(100_000, generator=random)
normal = torch.randn(1_000_000, generator=random)
odd = torch.randn(1_000, generator=random) + d


def precision(false_alarms):
    limit = threshold_at(validation, false_alarms)
    true, false = (odd > limit).sum(), (normal > limit).sum()
    return (true / (true + false)).item()


# %%
rates = [0.05, 0.01, 0.001, 0.0001]
for rate in rates:
    print(f"false alarms {rate:.2%}: {precision(rate):.1%} of alarms are true")

# %%
# NBVAL_CHECK_OUTPUT
reached = auroc(normal[:100_000], odd)
claim("the AUROC is as ordered", reached, "~", 0.95, tol=0.01)
claim("at 5 % few alarms are true", precision(0.05), "<", 0.03)
claim("one in ten thousand gives nearly one in two", precision(1e-4), ">", 0.3)

# %% [markdown]
# An AUROC of 0.95 can mean fifty or more false alarms for a true one. At the
# stricter threshold about half of the alarms are true, and most odd parts
# pass. No threshold gives both.
#
# ## Exercise 4
#
# Pure chance, but chosen after the fact, and with the freedom of the sign.

# %%
winners, again = [], []
for _ in range(200):
    old, new = torch.randn(2, 20, 60, generator=random)
    found = [auroc(score[:30], score[30:]) for score in old]
    best = max(range(20), key=lambda i: abs(found[i] - 0.5))
    sign = 1 if found[best] > 0.5 else -1
    winners.append(auroc(sign * old[best, :30], sign * old[best, 30:]))
    again.append(auroc(sign * new[best, :30], sign * new[best, 30:]))

# %%
# NBVAL_CHECK_OUTPUT
claim("the best of 20 coins reports", sum(winners) / 200, ">", 0.6)
claim("on new images it is a coin", sum(again) / 200, "~", 0.5, tol=0.03)

# %% [markdown]
# So a search over scores, code lengths or thresholds on the test images
# produces an AUROC above 0.6 from nothing. Search on other labelled images
# than those that you report.
#
# ## Exercise 5
#
# What is normal is now narrow, and the odd is everything else.

# %%
from ae_lib.baselines import PCA
from ae_lib.metrics import mse_per_image

train, test = data.load("mnist"), data.load("mnist", "test")
train, test = train[:6_000], test[:1_500]
ink = test.unit().flatten(1).var(1)


def one_class(digit):
    pca = PCA.fit(train[train.labels == digit], 8)
    e, own = mse_per_image(test, pca(test.unit())), test.labels == digit
    return auroc(e[own], e[~own]), auroc(ink[own], ink[~own])


scores = {digit: one_class(digit) for digit in (1, 8)}
for digit, (e, by_ink) in scores.items():
    print(f"only {digit} is normal: error {e:.3f}, ink {by_ink:.3f}")

# %%
# NBVAL_CHECK_OUTPUT
claim("ones normal: the others are found", scores[1][0], ">", 0.9)
for digit, (e, by_ink) in scores.items():
    best = max(by_ink, 1 - by_ink)  # for whoever knows the sign
    claim(f"only {digit} normal: more than by ink", e - best, ">", 0.02)

# %% [markdown]
# Ones are alike, and eight numbers hold them: all else has more error. On
# MNIST they also have the least ink, so that the ink alone finds nearly as
# much. Eights have more ink than most there; turned round, *less* ink would
# find two in three pairs, and the model adds a little to that, for simpler
# digits slip through the subspace of the eights. The stand-in's ones are
# thick, and there the ink points the wrong way: its sign depends on the data,
# and nobody who has seen only normal images could have known it.
