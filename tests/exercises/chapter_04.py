import torch
from torch import nn


class Written(nn.Module):
    """The same as a class, with batch normalisation, ReLU and other channels."""

    def __init__(self, latent_dim):
        super().__init__()
        self.start = nn.Linear(latent_dim, 16 * 8 * 8)
        self.norm = nn.BatchNorm2d(16)
        self.up = nn.ConvTranspose2d(16, 8, 3, 2, 1, 1)
        self.last = nn.ConvTranspose2d(8, 3, 3, 2, 1, 1)

    def forward(self, z):
        h = self.norm(self.start(z).view(-1, 16, 8, 8)).relu()
        return torch.sigmoid(self.last(self.up(h).relu()))


def decoder(
    first=(3, 2, 1, 1),
    second=(3, 2, 1, 1),
    channels=3,
    bend=nn.GELU,
    end=(nn.Sigmoid,),
    latent=None,
):
    """Return the function of a decoder with these layers."""

    def build(latent_dim):
        return nn.Sequential(
            nn.Linear(latent or latent_dim, 1024),
            nn.Unflatten(1, (16, 8, 8)),
            bend(),
            nn.ConvTranspose2d(16, 8, *first),
            bend(),
            nn.ConvTranspose2d(8, channels, *second),
            *(layer() for layer in end),
        )

    return build


class Deaf(Written):
    def forward(self, z):
        return super().forward(0 * z)


def parts(latent_dim):
    return [nn.Linear(latent_dim, 3), nn.Sigmoid()]


def by_layer(c_in, c_out, k, s, p, n):
    """Ask a layer of PyTorch."""
    layer = nn.Conv2d(c_in, c_out, k, s, p)
    y = layer(torch.zeros(1, c_in, n, n))
    own = sum(q.numel() for q in layer.parameters())
    return own, layer.weight.numel() * y[0, 0].numel()


def size(k, s, p, n):
    return (n + 2 * p - k) // s + 1


RIGHT = {"04.1": [Written, decoder(bend=nn.ReLU)], "04.2": [by_layer]}
WRONG = {
    "04.1": [
        (decoder((3, 2, 1), (3, 2, 1)), "3×29×29, not 3×32×32"),
        (decoder((3, 2, 1), (3, 2, 1)), "output_padding=1"),
        (decoder((3, 2, 1, 1), (3, 2, 1)), "3×31×31"),
        (decoder((3, 2, 0, 1), (3, 2, 0, 1)), "padding=1 takes"),
        (decoder((4, 2, 1), (4, 2, 1)), "kernels of 3; yours have [4, 4]"),
        (decoder(channels=1), "1×32×32, and a colour image has 3 channels"),
        (decoder(end=()), "let it end in a sigmoid"),
        (decoder(end=(nn.ReLU,)), "let it end in a sigmoid"),
        (decoder(end=(nn.ReLU, nn.Sigmoid)), "ReLU before the sigmoid"),
        (decoder(bend=nn.Identity), "no activation between the layers"),
        (decoder(latent=200), "codes of 10 numbers does not pass"),
        (Deaf, "two codes give the same image"),
        (parts, "return one nn.Module, got a list"),
        (lambda latent_dim: nn.Linear(latent_dim, 3072), "yours have []"),
    ],
    "04.2": [
        (
            lambda i, o, k, s, p, n: (
                i * o * k * k,
                i * o * k * k * size(k, s, p, n) ** 2,
            ),
            "biases are missing",
        ),
        (
            lambda i, o, k, s, p, n: (i * o * k * k + o, i * o * k * k * n * n),
            "place of the input",
        ),
        (
            lambda i, o, k, s, p, n: (i * o * k * k + o, i * o * k * k),
            "not once in all",
        ),
        (
            lambda i, o, k, s, p, n: (
                i * o * k * k + o,
                2 * i * o * k * k * size(k, s, p, n) ** 2,
            ),
            "multiplications alone",
        ),
        (
            lambda i, o, k, s, p, n: (
                i * o * k * k + o,
                (i * o * k * k + o) * size(k, s, p, n) ** 2,
            ),
            "it multiplies nothing",
        ),
        (
            lambda i, o, k, s, p, n: (
                i * o * k * k + o,
                i * o * k * k * size(k, s, p, n),
            ),
            "each output row",
        ),
        (lambda i, o, k, s, p, n: (i * o * k + o, 0), "not k"),
        (lambda i, o, k, s, p, n: (o * k * k + o, 0), "input channels"),
        (lambda i, o, k, s, p, n: (i * o * k * k + i, 0), "not one for each input"),
        (lambda i, o, k, s, p, n: (i + o, 0), "number of parameters is off: expected"),
    ],
}
