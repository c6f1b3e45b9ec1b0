"""Networks shared by the programs of the files tenth_b_*."""

import torch
from torch import nn


class Contractive(nn.Module):
    """Return the reconstruction, the code and the input it belongs to."""

    def __init__(self, encoder, decoder):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def encode(self, x):
        return self.encoder(x)

    def forward(self, x):
        if torch.is_grad_enabled():
            x = x.detach().requires_grad_()
        h = self.encode(x)
        return self.decoder(h), h, x
