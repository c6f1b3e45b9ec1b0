import torch


def step_by_step(variances, error, pixels):
    """Leave out one component after the other, from the end."""
    k, left = len(variances), 0.0
    while k > 0 and (left + variances[k - 1].item()) / pixels <= error:
        left += variances[k - 1].item()
        k -= 1
    return k


def by_search(variances, error, pixels):
    kept = torch.cat([torch.zeros(1), variances.cumsum(0)])
    return ((kept[-1] - kept) / pixels <= error).int().argmax()


def undivided(variances, error, pixels):
    return step_by_step(variances, error, 1)


def of_the_kept(variances, error, pixels):
    return int((variances.cumsum(0) / pixels <= error).sum()) + 1


RIGHT = {"08.1": [step_by_step, by_search]}
WRONG = {
    "08.1": [
        (undivided, "divide by the pixels"),
        (lambda v, e, p: step_by_step(v, e, p) + 1, "one component less will do"),
        (lambda v, e, p: step_by_step(v, e, p) - 1, "one more"),
        (of_the_kept, "what is kept is no error"),
        (lambda v, e, p: len(v), "smallest that will do"),
        (lambda v, e, p: v, "one number"),
        (lambda v, e, p: None, "`return`"),
        (lambda v, e, p: 1.5, "expected a whole number"),
    ]
}
