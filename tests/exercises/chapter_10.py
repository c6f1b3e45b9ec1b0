import torch
import torch.nn.functional as F
from torch import nn

HEAVY = (nn.Conv2d, nn.Linear)


def quiet_he(model, optimizer):
    heavy = [layer for layer in model if isinstance(layer, HEAVY)]
    for layer in heavy:
        nn.init.kaiming_normal_(layer.weight)
    heavy[-1].weight.data /= 10
    return model, optimizer


def answer(cause="signal.init-scale", measure=None, repair=quiet_he):
    """Return a Diagnosis with these parts."""

    class Diagnosis:
        def cause(self):
            return cause

        def measure(self, model, x):
            return (measure or weights)(model, x)

        def repair(self, model, optimizer):
            return repair(model, optimizer)

    return Diagnosis


def weights(model, x):
    """Read it off the weights alone: deviation times the root of the fan-in."""
    gains = [
        layer.weight.std() * layer.weight[0].numel() ** 0.5
        for layer in model
        if isinstance(layer, HEAVY)
    ]
    return sum(gains[:-1]) / len(gains[:-1])


def normed(model, optimizer):
    """Put batch normalisation behind each hidden layer, and make a new optimizer."""
    layers = []
    for layer in model:
        layers.append(layer)
        if isinstance(layer, nn.Conv2d) and layer.out_channels == 16:
            layers.append(nn.BatchNorm2d(16))
    model = nn.Sequential(*layers)
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
    return model, torch.optim.Adam(model.parameters(), lr=3e-3)


def faster(model, optimizer):
    optimizer.param_groups[0]["lr"] *= 10
    return model, optimizer


def first_gradient(model, x):
    F.mse_loss(model(x), x).backward()
    return model[0].weight.grad.norm()


def dead_share(model, x):
    for layer in model:
        x = layer(x)
        if isinstance(layer, nn.ReLU):
            return (x.transpose(0, 1).flatten(1) <= 0).all(1).float().mean()


def loss(model, x):
    return F.mse_loss(model(x), x).item()


def looks(order, per_layer=True, code=True):
    """Return a diagnose that asks in this order: units, code, step."""

    def diagnose(model, optimizer, x):
        h, silent, ratio = x, [], None
        with torch.no_grad():
            for layer in model.train():
                h = layer(h)
                if isinstance(layer, nn.ReLU):
                    silent.append((h.transpose(0, 1).flatten(1) == 0).all(1))
                if isinstance(layer, nn.Linear) and ratio is None:
                    ratio = (h.std(0).square().mean() / h.square().mean()).sqrt()
        shares = [part.float().mean() for part in silent] or [torch.zeros(())]
        dead = max(shares) if per_layer else sum(shares) / len(shares)
        before = [p.detach().clone() for p in model.parameters()]
        F.mse_loss(model(x), x).backward()
        optimizer.step()
        after = list(model.parameters())
        far = sum((p - a).square().sum() for p, a in zip(after, before, strict=True))
        step = (far / sum(a.square().sum() for a in before)).sqrt()
        facts = {
            "signal.dead-units": dead > 0.9,
            "signal.common-mode": code and ratio < 0.1,
            "step.too-small": step < 1e-5,
        }
        return next((name for name in order if facts[name]), "none")

    return diagnose


DEAD, COMMON, STEP = "signal.dead-units", "signal.common-mode", "step.too-small"
RIGHT = {
    "10.1": [answer(), answer(repair=normed)],
    "10.2": [looks([DEAD, COMMON, STEP])],
}
WRONG = {
    "10.1": [
        (answer("step.too-small"), "with ten times the rate R² is -0.0"),
        (answer("signal.dead-units"), "in no layer are more than 0% of the units"),
        (answer("signal.common-mode"), "the signal ratio at the code is 0.7"),
        (answer("step.too-large"), "it stands still"),
        (answer("code.too-small"), "and this network, with 32, nothing"),
        (answer("fit.mean-image"), "the symptom"),
        (answer("data.order"), "no measurement of this page"),
        (answer("vanishing"), "none of the doctor's words"),
        (answer(None), "`return`"),
        (answer(measure=first_gradient), "for one with dead units"),
        (answer(measure=dead_share), "for a healthy twin"),
        (answer(measure=loss), "does not tell the two apart"),
        (answer(measure=lambda model, x: x), "should be one number"),
        (answer(repair=faster), "the repair is not"),
        (answer(repair=lambda model, optimizer: model), "should be 2 things"),
        (answer(repair=lambda model, optimizer: (1, 2)), "expected a model"),
        (lambda: 1, "keep the class"),
    ],
    "10.2": [
        (lambda model, optimizer, x: "none", "program 2 of 10: not none"),
        (lambda model, optimizer, x: STEP, "program 1 of 10: not step.too-small"),
        (looks([STEP, COMMON, DEAD]), "no signal and sends no gradient"),
        (looks([COMMON, STEP]), "in one of its layers 100% of the units"),
        (looks([DEAD, COMMON, STEP], per_layer=False), "100% of the units are zero"),
        (looks([DEAD, STEP], code=False), "nearly one answer for all images"),
        (looks([DEAD, COMMON]), "one step moves the weights by"),
        (lambda model, optimizer, x: "dead", "answer with one of"),
        (lambda model, optimizer, x: None, "answer with one of"),
    ],
}
