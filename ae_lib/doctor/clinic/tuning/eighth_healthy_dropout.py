"""Healthy programs: dropout in its right place, and bfloat16 by autocast."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, scenes, waves
from ae_lib.doctor.clinic.parts import conv
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.eighth_healthy_material import cancer, fit, sensors


class DropoutAE(nn.Module):
    """Wide dense halves with dropout."""

    def __init__(self, d=256, h=400, k=32, p=0.5):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(d, h), nn.ReLU(), nn.Dropout(p), nn.Linear(h, k), nn.ReLU()
        )
        self.decoder = nn.Sequential(
            nn.Linear(k, h), nn.ReLU(), nn.Dropout(p), nn.Linear(h, d), nn.Sigmoid()
        )

    def forward(self, x):
        return self.decoder(self.encoder(x.view(x.size(0), -1))).view_as(x)


# Asked: after the list in doctor.md
@healthy(steps=300, bar=0.5)
def half_of_the_hidden_units_left_out(seed):
    """Put dropout of one half behind both wide hidden layers of a dense model."""
    x, y = digits(1280, seed, 16)
    model = DropoutAE()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    return {"model": model, "batches": loader(x, y, seed=seed), "optimizer": optimizer}


class SpatialDropout(nn.Module):
    """Strided convolutions with dropout of maps."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 24, 4, stride=2, padding=1)
        self.conv2 = nn.Conv2d(24, 24, 4, stride=2, padding=1)
        self.drop = nn.Dropout2d(0.1)
        self.up1 = nn.ConvTranspose2d(24, 24, 4, stride=2, padding=1)
        self.up2 = nn.ConvTranspose2d(24, 3, 4, stride=2, padding=1)

    def forward(self, x):
        h = self.drop(F.relu(self.conv1(x)))
        h = self.drop(F.relu(self.conv2(h)))
        return torch.sigmoid(self.up2(F.relu(self.up1(h))))


# Asked: after the list in doctor.md
@healthy(steps=200, bar=0.5)
def whole_maps_left_out_at_times(seed):
    """Leave out a tenth of the feature maps while a convolutional model trains."""
    x, _ = scenes(512, seed, 16)
    model = SpatialDropout()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    batches = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": batches, "optimizer": optimizer}


class TableNet(nn.Module):
    """Dense halves with batch norm and dropout."""

    def __init__(self, d, k=10):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(d, 64),
            nn.BatchNorm1d(64),
            nn.LeakyReLU(0.1),
            nn.Dropout(0.2),
            nn.Linear(64, k),
        )
        self.decoder = nn.Sequential(
            nn.Linear(k, 64), nn.BatchNorm1d(64), nn.LeakyReLU(0.1), nn.Linear(64, d)
        )

    def forward(self, x):
        return self.decoder(self.encoder(x))


# Asked: after the list in doctor.md
@healthy(steps=0, bar=0.7)
def validation_below_training_through_dropout(seed):
    """Trained with dropout and batch norm; validation lies below training."""
    x = cancer(seed)
    model = TableNet(30)
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 20, gamma=0.3)
    case = {
        "model": model,
        "batches": loader(x[:448], batch_size=32, seed=seed),
        "optimizer": optimizer,
    }
    return fit(case, 60, [x[448:]], schedule=schedule)


class LSTMWithDropout(nn.Module):
    """LSTM halves with dropout around the code."""

    def __init__(self, channels=4, hidden=40, k=12):
        super().__init__()
        self.encoder = nn.LSTM(channels, hidden, batch_first=True)
        self.dropout = nn.Dropout(0.1)
        self.squeeze = nn.Linear(hidden, k)
        self.decoder = nn.LSTM(k, hidden, batch_first=True)
        self.output = nn.Linear(hidden, channels)

    def forward(self, x):
        _, (h, _) = self.encoder(x)
        z = self.squeeze(self.dropout(h[-1]))
        y, _ = self.decoder(z.unsqueeze(1).repeat(1, x.size(1), 1))
        return self.output(self.dropout(y))


# Asked: after the list in doctor.md
@healthy(steps=220, bar=0.3)
def recurrent_layers_with_dropout_between(seed):
    """Use dropout between the layers of an LSTM autoencoder of sensor windows."""
    x = sensors(448, seed, 20)
    model = LSTMWithDropout()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    batches = loader(x, batch_size=64, seed=seed)
    return {"model": model, "batches": batches, "optimizer": optimizer}


class SmallTransformer(nn.Module):
    """One attention layer in front of a dense decoder."""

    def __init__(self, d=24, k=12, patch=4, tokens=16):
        super().__init__()
        self.embed = nn.Conv2d(1, d, patch, patch)
        self.position = nn.Parameter(0.02 * torch.randn(1, tokens, d))
        block = nn.TransformerEncoderLayer(
            d, 2, 48, dropout=0.1, batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(block, 1, enable_nested_tensor=False)
        self.code = nn.Linear(tokens * d, 3 * k)
        self.decoder = nn.Sequential(
            nn.Linear(3 * k, 128), nn.GELU(), nn.Linear(128, 256), nn.Sigmoid()
        )

    def forward(self, x):
        tokens = self.embed(x).flatten(2).transpose(1, 2) + self.position
        z = self.code(self.encoder(tokens).flatten(1))
        return self.decoder(z).view_as(x)


# Asked: after the list in doctor.md
@healthy(steps=200, bar=0.5)
def patches_of_digits_through_attention(seed):
    """Encode digits by a small transformer with its usual dropout of a tenth."""
    x, _ = digits(1024, seed, 16)
    model = SmallTransformer()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
    batches = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": batches, "optimizer": optimizer}


# Asked: after the list in doctor.md
@healthy(steps=220, bar=0.5)
def autocast_around_the_forward_pass(seed):
    """Run forward pass and loss in bfloat16 autocast, the backward pass outside."""
    x, _ = scenes(512, seed, 16)
    model = conv((3, 16, 16), k=48, width=12)
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)

    def train_step(model, batch):
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = F.mse_loss(model(batch), batch)
        loss.backward()
        optimizer.step()
        return loss.item()

    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "optimizer": optimizer,
        "step": train_step,
    }


class MixedPrecision(nn.Module):
    """Dense layers that run in bfloat16, and a float head."""

    def __init__(self, d=64, k=12):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(d, 96), nn.GELU(), nn.Linear(96, k), nn.Linear(k, 96), nn.GELU()
        )
        self.head = nn.Linear(96, d)

    def forward(self, x):
        with torch.autocast(x.device.type, dtype=torch.bfloat16):
            h = self.net(x)
        return self.head(h.float())


# Asked: after the list in doctor.md
@healthy(steps=250, bar=0.7)
def body_in_bfloat16_head_in_float(seed):
    """Keep autocast inside the model's forward and the last layer in float32."""
    x = waves(640, seed, 64)
    model = MixedPrecision()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": optimizer}


class HalfVAE(nn.Module):
    """The textbook VAE, its layers under autocast."""

    def __init__(self, d=256, h=128, k=8):
        super().__init__()
        self.fc1 = nn.Linear(d, h)
        self.fc21 = nn.Linear(h, k)
        self.fc22 = nn.Linear(h, k)
        self.fc3 = nn.Linear(k, h)
        self.fc4 = nn.Linear(h, d)

    @torch.autocast("cpu", dtype=torch.bfloat16)
    def forward(self, x):
        h = F.relu(self.fc1(x.flatten(1)))
        mu, logvar = self.fc21(h).float(), self.fc22(h).float()
        z = mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)
        return self.fc4(F.relu(self.fc3(z))).float(), mu, logvar


# Asked: after the list in doctor.md
@healthy(steps=300, bar=0.35)
def variational_model_under_autocast(seed):
    """Compute the layers of a VAE in bfloat16, the divergence and BCE in float32."""
    x, _ = digits(1280, seed, 16)
    model = HalfVAE()

    def loss_function(output, target):
        logits, mu, logvar = output
        bce = F.binary_cross_entropy_with_logits(
            logits, target.flatten(1), reduction="sum"
        )
        kld = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
        return (bce + kld) / len(target)

    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": loss_function,
        "optimizer": torch.optim.Adam(model.parameters(), lr=2e-3),
        "view": torch.sigmoid,
    }


# Asked: after the list in doctor.md
@healthy(steps=0, bar=0.5)
def mixed_precision_with_the_scaler_off(seed):
    """Trained in bfloat16 with a disabled gradient scaler and clipped gradients."""
    x, _ = digits(1200, seed, 16)
    model = conv((1, 16, 16), k=40, width=10, last=None)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 22)
    scaler = torch.amp.GradScaler("cpu", enabled=False)

    def step(model, batch):
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            output = model(batch)
        loss = F.l1_loss(output.float(), batch)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        return loss.item()

    case = {
        "model": model,
        "batches": loader(x[:1088], batch_size=64, seed=seed),
        "loss": F.l1_loss,
        "optimizer": optimizer,
        "step": step,
    }
    return fit(case, 22, [x[1088:]], schedule=schedule)
