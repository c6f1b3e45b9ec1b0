"""Healthy programs on pictures before training: networks and outputs of many kinds."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches, scenes
from ae_lib.doctor.clinic.parts import AE, adam, sgd
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.ninth_a_parts import (
    bumps,
    ellipses,
    flows,
    rooms,
    satellite,
    smooth,
    speckle,
)


class PoolUp(nn.Module):
    """Pool twice, and double the size twice by repeating pixels."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 8, 3, padding=1)
        self.squeeze = nn.Linear(8 * 4 * 4, 12)
        self.expand = nn.Linear(12, 8 * 4 * 4)
        self.conv3 = nn.Conv2d(8, 16, 3, padding=1)
        self.conv4 = nn.Conv2d(16, 1, 3, padding=1)

    def forward(self, x):
        h = F.max_pool2d(F.relu(self.conv1(x)), 2)  # (B, 16, 8, 8)
        h = F.max_pool2d(F.relu(self.conv2(h)), 2)  # (B, 8, 4, 4)
        z = self.squeeze(h.flatten(1))
        h = F.relu(self.expand(z)).view(-1, 8, 4, 4)
        h = F.relu(self.conv3(F.interpolate(h, scale_factor=2)))
        return torch.sigmoid(self.conv4(F.interpolate(h, scale_factor=2)))


@healthy(steps=250, bar=0.4)
def masks_of_one_ellipse_with_bce(seed):
    """Compress the masks of a segmentation set with pooling, upsampling and BCELoss."""
    model, data = PoolUp(), loader(ellipses(600, seed), batch_size=32, seed=seed)
    case = {"model": model, "batches": data, "loss": nn.BCELoss()}
    return {**case, "optimizer": adam(model, 3e-3)}


class Residual(nn.Module):
    """Add what two convolutions make of the input."""

    def __init__(self, width):
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
        )

    def forward(self, x):
        return x + self.body(x)


@healthy(bar=0.4)
def six_bands_by_channel_statistics(seed):
    """Normalise every band of a satellite by its own mean and deviation."""
    x = satellite(512, seed)
    axes = (0, 2, 3)
    x = (x - x.mean(axes, keepdim=True)) / x.std(axes, keepdim=True)
    encoder = nn.Sequential(nn.Conv2d(6, 24, 4, 2, 1), Residual(24))
    encoder += nn.Sequential(nn.Conv2d(24, 24, 4, 2, 1), Residual(24))
    encoder.append(nn.Conv2d(24, 4, 1))  # (B, 4, 4, 4)
    decoder = nn.Sequential(nn.Conv2d(4, 24, 1), Residual(24), nn.Upsample(None, 2))
    decoder += nn.Sequential(Residual(24), nn.Upsample(scale_factor=2))
    decoder.append(nn.Conv2d(24, 6, 3, padding=1))
    model = AE(encoder, decoder)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}


class PatchTransformer(nn.Module):
    """Read 16 patches with a transformer and write them from one code."""

    def __init__(self, width=48, k=24):
        super().__init__()
        self.cut = nn.Conv2d(1, width, 7, 7)
        self.place = nn.Parameter(0.02 * torch.randn(1, 16, width))
        self.query = nn.Parameter(0.02 * torch.randn(1, 16, width))
        layer = {"dim_feedforward": 96, "dropout": 0.0, "batch_first": True}
        layer |= {"norm_first": True, "activation": "gelu"}
        self.reader = nn.TransformerEncoderLayer(width, 4, **layer)
        self.to_code = nn.Linear(16 * width, k)
        self.from_code = nn.Linear(k, 16 * width)
        self.writer = nn.TransformerEncoderLayer(width, 4, **layer)
        self.head = nn.Linear(width, 49)

    def forward(self, x):
        tokens = self.cut(x).flatten(2).transpose(1, 2) + self.place  # (B, 16, 48)
        z = self.to_code(self.reader(tokens).flatten(1))
        tokens = self.from_code(z).unflatten(1, (16, -1)) + self.query
        pixels = self.head(self.writer(tokens)).transpose(1, 2)  # (B, 49, 16)
        return F.fold(pixels, 28, 7, stride=7)


@healthy(bar=0.35)
def digits_by_a_small_transformer(seed):
    """Cut digits into 16 patches and read them with attention, as in a ViT."""
    x, y = digits(640, seed)
    model = PatchTransformer()
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=0.05)
    return {"model": model, "batches": loader(x, y, seed=seed), "optimizer": optimizer}


class Attend(nn.Module):
    """Let every place of a map look at every other one; start as the identity."""

    def __init__(self, width):
        super().__init__()
        self.norm = nn.GroupNorm(4, width)
        self.look = nn.MultiheadAttention(width, 2, batch_first=True)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        rows = self.norm(x).flatten(2).transpose(1, 2)
        seen = self.look(rows, rows, rows, need_weights=False)[0]
        return x + self.gamma * seen.transpose(1, 2).view_as(x)


@healthy(bar=0.4)
def gated_attention_that_starts_at_zero(seed):
    """Put self-attention with a gate of zero, as in SAGAN, around the code."""
    x, y = scenes(512, seed)
    encoder = nn.Sequential(
        nn.Conv2d(3, 24, 4, 2, 1),
        nn.SiLU(),
        nn.Conv2d(24, 32, 4, 2, 1),
        Attend(32),
        nn.SiLU(),
        nn.Flatten(),
        nn.Linear(512, 40),
    )
    decoder = nn.Sequential(
        nn.Linear(40, 512),
        nn.Unflatten(1, (32, 4, 4)),
        Attend(32),
        nn.SiLU(),
        nn.ConvTranspose2d(32, 24, 4, 2, 1),
        nn.SiLU(),
        nn.ConvTranspose2d(24, 3, 4, 2, 1),
        nn.Sigmoid(),
    )
    model, data = AE(encoder, decoder), loader(x, y, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


class Metres(nn.Module):
    """Return distances, which are positive, by a softplus."""

    def __init__(self):
        super().__init__()
        self.down = nn.Sequential(nn.Flatten(), nn.Linear(256, 128), nn.ELU())
        self.code = nn.Linear(128, 12)
        self.up = nn.Sequential(nn.Linear(12, 128), nn.ELU(), nn.Linear(128, 256))

    def forward(self, depth):
        z = self.code(self.down(depth))
        return {"reconstruction": F.softplus(self.up(z)).view_as(depth), "z": z}


@healthy(steps=250, bar=0.3)
def depth_maps_in_metres(seed):
    """Rebuild depths of one to five metres, as the sensor gives them, with softplus."""
    model, data = Metres(), loader(rooms(600, seed), seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


@healthy(steps=250, bar=0.3)
def heat_maps_with_heavier_peaks(seed):
    """Weigh the few bright pixels of key-point maps ten times in the squared error."""
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(768, 128), nn.LeakyReLU(0.1))
    decoder = nn.Sequential(nn.Linear(16, 128), nn.LeakyReLU(0.1), nn.Linear(128, 768))
    decoder.append(nn.Unflatten(1, (3, 16, 16)))
    model = AE(encoder.append(nn.Linear(128, 16)), decoder)

    def loss(output, target):
        return ((1 + 9 * target) * (output - target).square()).mean()

    case = {"model": model, "batches": loader(bumps(1024, seed), seed=seed)}
    return {**case, "loss": loss, "optimizer": adam(model)}


@healthy(bar=0.3)
def label_maps_with_cross_entropy(seed):
    """Compress maps of five land classes, one-hot, with the cross-entropy per pixel."""
    classes = (3 * smooth(512, 5, seed)).argmax(1)
    x = F.one_hot(classes, 5).permute(0, 3, 1, 2).float()
    encoder = nn.Sequential(nn.Conv2d(5, 32, 4, 2, 1), nn.ReLU())
    encoder += nn.Sequential(nn.Conv2d(32, 32, 4, 2, 1), nn.ReLU(), nn.Conv2d(32, 6, 1))
    decoder = nn.Sequential(nn.ConvTranspose2d(6, 32, 4, 2, 1), nn.ReLU())
    decoder.append(nn.ConvTranspose2d(32, 5, 4, 2, 1))
    model = AE(encoder, decoder)
    case = {"model": model, "batches": loader(x.contiguous(), seed=seed)}
    case |= {"loss": nn.CrossEntropyLoss(), "optimizer": adam(model, 3e-3)}
    return {**case, "view": lambda logits: logits.softmax(1)}


@healthy(bar=0.4)
def flow_fields_with_sgd_and_nesterov(seed):
    """Rebuild two-channel optical flow, with signs, by SGD with Nesterov momentum."""
    x = flows(512, seed)
    encoder = nn.Sequential(nn.Conv2d(2, 16, 3, 2, 1), nn.PReLU(), nn.Flatten())
    encoder.append(nn.Linear(1024, 16))
    decoder = nn.Sequential(
        nn.Linear(16, 1024), nn.PReLU(), nn.Unflatten(1, (16, 8, 8))
    )
    decoder += nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(16, 2, 3, 1, 1))
    model, data = AE(encoder, decoder), loader(x, batch_size=32, seed=seed)
    optimizer = sgd(model, 0.05, momentum=0.9, nesterov=True)
    return {"model": model, "batches": data, "optimizer": optimizer}


@healthy(steps=200, bar=0.4)
def noise_plates_with_few_causes(seed):
    """Compress pictures that look like noise but mix twelve fixed noise plates."""
    x = speckle(640, seed)
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(256, 96), nn.GELU())
    decoder = nn.Sequential(nn.Linear(20, 96), nn.GELU(), nn.Linear(96, 256))
    decoder += nn.Sequential(nn.Sigmoid(), nn.Unflatten(1, (1, 16, 16)))
    model = AE(encoder.append(nn.Linear(96, 20)), decoder)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}


@healthy(bar=0.4)
def pixel_shuffle_with_equal_kernels(seed):
    """Upsample with PixelShuffle, whose kernels start equal for each pixel (ICNR)."""
    last = nn.Conv2d(32, 48, 3, padding=1)
    with torch.no_grad():
        last.weight.copy_(last.weight[::16].repeat_interleave(16, 0))
        last.bias.zero_()
    encoder = nn.Sequential(nn.PixelUnshuffle(4), nn.Conv2d(48, 48, 3, 1, 1), nn.Mish())
    encoder.append(nn.Conv2d(48, 5, 1))  # (B, 5, 4, 4)
    decoder = nn.Sequential(nn.Conv2d(5, 32, 3, 1, 1), nn.Mish(), last)
    model = AE(encoder, decoder.append(nn.PixelShuffle(4)))
    data = loader(patches(512, seed), batch_size=32, seed=seed)
    return {
        "model": model,
        "batches": data,
        "optimizer": torch.optim.NAdam(model.parameters(), 2e-3),
    }
