"""What residual networks are built of: stems, blocks with their gates, and how their norms vanish in evaluation."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from attnpred.models.cpu_convolution import Conv
from attnpred.models.foldable import Foldable
from attnpred.models.fused import conv_relu

WAVES = 2  # pixels a side of the fixed stem's kernels
SMALLEST_MAP = 4  # rows and columns below which a stage no longer halves the map


class ConvStem(Foldable):
    """Learned kernels of 3 by 3."""

    shrinks = 0

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.channels = inner
        self.conv = conv(channels, inner)
        self.norm: nn.Module = nn.BatchNorm2d(inner)

    def fold(self) -> None:
        super().fold()
        self.conv, self.norm = folded(self.conv, self.norm), nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, rows, columns) -> (batch, inner, rows, columns)"""
        return conv_relu(self.conv, x) if self.folded else F.relu(self.norm(self.conv(x)))


class WaveStem(nn.Module):
    """Each pixel and its neighbours as cosine waves of brightness and of colour contrasts, all made equally strong.

    Photographs have little in fine waves and in colour: brought to one strength they are near to independent, and the
    next layer learns several times faster. Waves of a variance below `faint` are noise more than anything, and stay
    weaker. Nothing here is trained. Both signs are handed on.
    """

    shrinks = WAVES - 1  # rows and columns that the map loses

    def __init__(self, channels: int, faint: float) -> None:
        super().__init__()
        waves = _waves(channels, WAVES)
        self.register_buffer("kernels", waves, persistent=False)
        self.kernels: Tensor
        self.norm = nn.BatchNorm2d(len(waves), affine=False, eps=faint)
        self.channels = 2 * len(waves)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, rows, columns) -> (batch, 2 x waves, rows - 1, columns - 1)"""
        x = self.norm(F.conv2d(x, self.kernels.to(x.dtype)))
        return F.gelu(torch.cat((x, -x), dim=1))


class PlainStage(Foldable):
    """A convolution whose 2 by 2 maximum halves the map, and `depth` more, with a path around these where asked."""

    def __init__(self, channels: int, inner: int, depth: int, *, halves: bool, around: bool, attention: str) -> None:
        super().__init__()
        self.halves, self.around = halves, around
        self.enter = conv(channels, inner)
        self.enter_norm: nn.Module = ShiftNorm(inner)
        self.convs = nn.ModuleList(conv(inner, inner) for _ in range(depth))
        self.norms = nn.ModuleList(ShiftNorm(inner) for _ in range(depth))
        self.gates = nn.ModuleList(Gates(inner, attention) for _ in range(depth))
        for module in (self.enter, *self.convs):
            assert isinstance(module, nn.Conv2d)
            # hands its input on at first, beside other features that are weaker, which a few epochs need
            module.reset_parameters()
            nn.init.dirac_(module.weight.data[: module.in_channels])

    def fold(self) -> None:
        super().fold()
        # a norm that scales by what is above 0 may stand before a maximum as well as behind it
        self.enter, self.enter_norm = folded(self.enter, self.enter_norm), nn.Identity()
        for place, norm in enumerate(self.norms):
            self.convs[place], self.norms[place] = folded(self.convs[place], norm), nn.Identity()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """(batch, channels, rows, columns) -> the stage's map, and its last spatial gate, (batch, 1, rows, columns)"""
        x = self.enter(x)
        if self.halves:
            x = F.max_pool2d(x, 2, ceil_mode=not drops_last(min(x.shape[2:])))
        x = entered = F.gelu(self.enter_norm(x))
        gate, last = None, len(self.convs) - 1
        for place, (convolve, norm, gates) in enumerate(zip(self.convs, self.norms, self.gates, strict=True)):
            x = norm(convolve(x))
            if self.around and place == last:
                x = x + entered
            x, gate = gates(F.gelu(x))
        return x, gate


class ShiftNorm(nn.BatchNorm2d):
    """Batch norm that only shifts: the kernels behind it have the freedom to scale."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        del self.weight
        self.register_buffer("weight", torch.ones(channels), persistent=False)


class Block(Foldable):
    """Two 3x3 convolutions, the attention's gates, and the path around them."""

    def __init__(self, channels: int, inner: int, *, halves: bool, attention: str) -> None:
        super().__init__()
        self.first = conv(channels, inner, stride=2 if halves else 1)
        self.first_norm: nn.Module = nn.BatchNorm2d(inner)
        self.second = conv(inner, inner)
        last_norm = nn.BatchNorm2d(inner)
        # Every block starts as the identity, which lets deep stacks train from the first step
        nn.init.zeros_(last_norm.weight)
        self.second_norm: nn.Module = last_norm
        self.gates = Gates(inner, attention)
        around: list[nn.Module] = [nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False)] if halves else []
        if channels != inner:
            around += [nn.Conv2d(channels, inner, 1, bias=False), nn.BatchNorm2d(inner)]
        self.around = nn.Sequential(*around)

    def fold(self) -> None:
        super().fold()
        self.first, self.first_norm = folded(self.first, self.first_norm), nn.Identity()
        self.second, self.second_norm = folded(self.second, self.second_norm), nn.Identity()
        *before, last = self.around or [nn.Identity()]
        if isinstance(last, nn.BatchNorm2d):
            self.around = nn.Sequential(*before[:-1], folded(before[-1], last))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """(batch, channels, rows, columns) -> the block's map, and its spatial gate (batch, 1, rows, columns) if any"""
        if self.folded:
            branch = conv_relu(self.first, x)
            if self.gates.idle:
                return conv_relu(self.second, branch, self.around(x)), None
        else:
            branch = F.relu(self.first_norm(self.first(x)))
        branch, gate = self.gates(self.second_norm(self.second(branch)))
        return F.relu(branch + self.around(x)), gate


class Gates(nn.Module):
    """What attention there is inside a block: on channels (`se`), on channels and places (`cbam`), or none."""

    def __init__(self, channels: int, attention: str) -> None:
        super().__init__()
        self.idle = attention not in ("se", "cbam")
        self.channel = None if self.idle else ChannelGate(channels, with_maximum=attention == "cbam")
        self.spatial = SpatialGate() if attention == "cbam" else None

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """(batch, channels, rows, columns) -> the same shape, and the spatial gate (batch, 1, rows, columns) if any"""
        if self.channel is not None:
            x = x * self.channel(x)
        if self.spatial is None:
            return x, None
        gate = self.spatial(x)
        return x * gate, gate


class ChannelGate(nn.Module):
    """Squeeze-and-excitation; with the maximum beside the mean it is CBAM's channel attention."""

    def __init__(self, channels: int, *, with_maximum: bool) -> None:
        super().__init__()
        self.with_maximum = with_maximum
        hidden = max(channels // 8, 4)
        self.squeeze = nn.Linear(channels, hidden)
        self.excite = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, rows, columns) -> (batch, channels, 1, 1)"""
        score = self.excite(F.relu(self.squeeze(x.mean((2, 3)))))
        if self.with_maximum:
            score = score + self.excite(F.relu(self.squeeze(x.amax((2, 3)))))
        return score.sigmoid()[:, :, None, None]


class SpatialGate(nn.Module):
    """CBAM's spatial attention: where, from the mean and the maximum over channels around each place."""

    def __init__(self) -> None:
        super().__init__()
        self.look = nn.Conv2d(2, 1, 7, padding=3)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, rows, columns) -> (batch, 1, rows, columns)"""
        return self.look(torch.cat((x.mean(1, keepdim=True), x.amax(1, keepdim=True)), dim=1)).sigmoid()


def drops_last(side: int) -> bool:
    """Whether a maximum over a map of that many rows or columns leaves out an odd last one: enough remain, for less."""
    return side >= 2 * SMALLEST_MAP


def folded(convolution: nn.Module, norm: nn.Module) -> nn.Conv2d:
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    return fuse_conv_bn_eval(convolution, norm)


def conv(channels: int, inner: int, stride: int = 1) -> nn.Conv2d:
    made = Conv(channels, inner, stride)
    nn.init.kaiming_normal_(made.weight, mode="fan_out", nonlinearity="relu")
    return made


def _waves(channels: int, side: int) -> Tensor:
    """Orthonormal kernels, (waves, channels, side, side): cosines over rows, columns and channels."""

    def cosines(size: int) -> Tensor:
        place = torch.arange(size) + 0.5
        rows = torch.stack([torch.cos(math.pi * place * wave / size) for wave in range(size)])
        return rows / rows.norm(dim=1, keepdim=True)

    along, colours = cosines(side), cosines(channels)
    return torch.einsum("ay,bx,cd->abcdyx", along, along, colours).reshape(-1, channels, side, side)
