"""Ninth part, c: working recurrent autoencoders of windows."""

import torch
from torch import nn

from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import adam
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.thirteenth_c_material import windows


class Repeater(nn.Module):
    """Repeat the last state of an LSTM for every step of a second one."""

    def __init__(self, c=4, hidden=40, k=12):
        super().__init__()
        self.encoder = nn.LSTM(c, hidden, batch_first=True)
        self.narrow = nn.Linear(hidden, k)
        self.decoder = nn.LSTM(k, hidden, batch_first=True)
        self.head = nn.Linear(hidden, c)

    def forward(self, x):
        _, (h, _) = self.encoder(x)
        z = self.narrow(h[-1])
        out, _ = self.decoder(z[:, None].repeat(1, x.shape[1], 1))
        return self.head(out)


@healthy(steps=350, bar=0.4)
def lstm_repeats_its_code_for_gauges(seed):
    """Sum absolute errors of windows, with an LSTM on either side and clipping."""
    x = windows(768, seed, t=12)
    model = Repeater()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    criterion = nn.L1Loss(reduction="sum")

    def step(model, batch):
        optimizer.zero_grad()
        loss = criterion(model(batch), batch)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 100.0)
        optimizer.step()
        return loss.item() / batch.numel()

    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": criterion,
        "step": step,
        "optimizer": optimizer,
    }


class Backwards(nn.Module):
    """Write a window from its end, as sequence models do, and turn it round."""

    def __init__(self, c=3, hidden=40, k=12):
        super().__init__()
        self.encoder = nn.GRU(c, hidden, batch_first=True)
        self.code = nn.Sequential(nn.Linear(hidden, k), nn.LayerNorm(k))
        self.start = nn.Linear(k, hidden)
        self.cell = nn.GRUCell(c, hidden)
        self.head = nn.Linear(hidden, c)

    def forward(self, x):
        h = torch.tanh(self.start(self.code(self.encoder(x)[1][0])))
        y, rows = torch.zeros_like(x[:, 0]), []
        for _ in range(x.shape[1]):
            h = self.cell(y, h)
            y = self.head(h)
            rows.append(y)
        return torch.stack(rows[::-1], 1)


@healthy(steps=0, bar=0.5)
def gru_writes_the_window_from_its_end(seed):
    """Feed each own output to the next step, last time first."""
    x = windows(640, seed, t=10, c=3)
    model = Backwards()
    case = {"model": model, "batches": loader(x[:576], batch_size=64, seed=seed)}
    case |= {"eval_batches": [x[576:]], "optimizer": adam(model, 1e-2)}
    train(case, 220)
    return case
