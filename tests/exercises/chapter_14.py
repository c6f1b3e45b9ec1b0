import torch


def by_library(f, f_test):
    """Divide by N, and write 0 where nothing moves."""
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(f.numpy())
    parts = [torch.from_numpy(scaler.transform(x.numpy())) for x in (f, f_test)]
    still = f.std(0) == 0
    return [torch.where(still, 0, part) for part in parts]


def scale(own=False, together=False, mean=True, std=True, dead=0.0):
    """Return an answer with these habits."""

    def numbers(x):
        m = x.mean(0) if mean else 0
        s = x.std(0)
        s = torch.where(s > 0, s, 1 / dead if dead else torch.inf)
        return m, s if std else torch.where(s.isinf(), s, 1.0)

    def standardised(f, f_test):
        both = torch.cat([f, f_test])
        m, s = numbers(both if together else f)
        m_t, s_t = numbers(f_test) if own else (m, s)
        return (f - m) / s, (f_test - m_t) / s_t

    return standardised


def with_nothing_guarded(f, f_test):
    return (f - f.mean(0)) / f.std(0), (f_test - f.mean(0)) / f.std(0)


def with_epsilon(f, f_test):
    std = f.std(0) + 1e-8
    return (f - f.mean(0)) / std, (f_test - f.mean(0)) / std


def in_place(f, f_test):
    std = torch.where(f.std(0) > 0, f.std(0), torch.inf)
    f_test -= f.mean(0)
    return (f - f.mean(0)) / std, f_test / std


def test_untouched(f, f_test):
    return scale()(f, f_test)[0], f_test


def of_each_image(f, f_test):
    parts = [x.T for x in (f, f_test)]
    return [((x - x.mean(0)) / x.std(0)).T for x in parts]


def of_all_units(f, f_test):
    return (f - f.mean()) / f.std(), (f_test - f.mean()) / f.std()


def by_variance(f, f_test):
    std = torch.where(f.std(0) > 0, f.std(0), torch.inf)
    a, b = scale()(f, f_test)
    return a / std, b / std


def by_range(f, f_test):
    low, wide = f.amin(0), f.amax(0) - f.amin(0)
    wide = torch.where(wide > 0, wide, torch.inf)
    return (f - low) / wide, (f_test - low) / wide


def by_both_in_the_test(f, f_test):
    return scale()(f, f_test)[0], scale(together=True)(f, f_test)[1]


def half(f, f_test):
    a, b = scale()(f, f_test)
    return a / 2, b


def half_test(f, f_test):
    a, b = scale()(f, f_test)
    return a, b / 2


def by_ballots(f, labels, f_test, k):
    """Go from image to image, and let a counter count."""
    from collections import Counter

    answers = []
    for z in f_test:
        near = (f - z).square().sum(1).argsort()[:k]
        answers.append(Counter(labels[near].tolist()).most_common(1)[0][0])
    return torch.tensor(answers)


def by_neighbours(f, labels, f_test, k):
    from sklearn.neighbors import KNeighborsClassifier

    reader = KNeighborsClassifier(k).fit(f.numpy(), labels.numpy())
    return torch.from_numpy(reader.predict(f_test.numpy()))


def ask(near=None, count=None):
    """Return an answer that finds neighbours and counts like this."""
    near = near or (lambda f, g, k: torch.cdist(g, f).topk(k, largest=False).indices)
    count = count or (lambda votes: votes.mode(dim=1).values)
    return lambda f, labels, f_test, k: count(labels[near(f, f_test, k)])


def places(f, labels, f_test, k):
    return torch.cdist(f_test, f).argmin(1)


def directions(f, g, k):
    f, g = (x / x.norm(dim=1, keepdim=True) for x in (f, g))
    return (g @ f.T).topk(k).indices


RIGHT = {
    "14.1": [by_library, scale()],
    "14.2": [by_ballots, by_neighbours, ask()],
}
WRONG = {
    "14.1": [
        (scale(own=True), "their own mean and deviation"),
        (scale(together=True), "not to be looked at"),
        (by_both_in_the_test, "by all images together"),
        (test_untouched, "have not been scaled at all"),
        (of_all_units, "one mean and one deviation for all units"),
        (of_each_image, "dim=1"),
        (scale(std=False), "the deviation is still what it was"),
        (scale(mean=False), "the mean is not 0"),
        (by_variance, "divide by the variance"),
        (by_range, "least and largest"),
        (half, "a unit should have mean 0"),
        (half_test, "by mean and deviation of the training codes"),
        (with_nothing_guarded, "NaN or infinity"),
        (with_epsilon, "comes to 5e+07"),
        (scale(dead=1e6), "make it 0 in both"),
        (in_place, "have changed"),
        (lambda f, f_test: f, "should be 2 things"),
        (lambda f, f_test: None, "`return`"),
    ],
    "14.2": [
        (ask(lambda f, g, k: torch.cdist(g, f).topk(k).indices), "largest=False"),
        (places, "the places of neighbours"),
        (ask(count=lambda votes: votes.double().mean(1)), "as a fraction"),
        (ask(count=lambda votes: votes.double().mean(1).round()), "you round the mean"),
        (ask(count=lambda votes: votes[:, 0]), "only the nearest one"),
        (
            ask(lambda f, g, k: torch.cdist(g, f).argsort(1)[:, 1 : k + 1]),
            "you skip the nearest",
        ),
        (ask(lambda f, g, k: (g @ f.T).topk(k).indices), "largest products"),
        (ask(directions), "directions"),
        (
            lambda f, labels, g, k: labels.mode().values.expand(len(g)),
            "the commonest class of all",
        ),
        (lambda f, labels, g, k: ask()(f, labels, g, 5), "still 5 are asked"),
        (lambda f, labels, g, k: ask()(f, labels, g, k - 2), "get another class"),
        (ask(count=lambda votes: votes), "has shape"),
        (lambda f, labels, g, k: None, "`return`"),
    ],
}
