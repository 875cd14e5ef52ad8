"""A network of some library as a source of features: one a region of the image, with the attention behind them."""

import inspect
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from attnpred.errors import UserError
from attnpred.models import encoders
from attnpred.models.backbones import PLACE, Description

ENDS = ("avgpool", "flatten", "classifier", "fc", "head")  # children of torchvision's networks behind the last map
Asked = Literal["none", "last", "all"]  # whose attention is asked for


@dataclass(frozen=True)
class Seen:
    features: Tensor  # (batch, prefix + parts, width)
    grid: tuple[int, int]  # of the parts
    prefix: int  # tokens before the parts, such as a class token
    layers: tuple[Tensor, ...] = ()  # (batch, heads, prefix + parts, prefix + parts) each, of those asked for


class Backbone(nn.Module):
    """`network` ends in a map, or in tokens for patches in reading order with none or some before them."""

    def __init__(self, network: Any, description: Description, size: tuple[int, int], source: str) -> None:
        """`size`: height and width of the images that it is tried on, which tells what it makes of them."""
        super().__init__()
        self.library, self.source = description.library, source
        self.prefix = 0
        self.again = False  # whether the backward pass makes activations again; the other libraries know by themselves
        self.network = network
        self.last = nn.Identity()  # where the last map can be seen, (batch, width, rows, columns)
        for module in network.modules():
            if getattr(module, "inplace", None) is True:
                module.inplace = False  # a layer's input stays what it was for those who explain it
        self.mapped, self.width, self.attends = self._tried(size)

    def forward(self, pixels: Tensor, asked: Asked = "none") -> Seen:
        """pixels (batch, 3, height, width), normalised"""
        found, layers = self._features(pixels, asked)
        if found.ndim == 4:
            x = self.last(self._map(found))  # (batch, width, rows, columns)
            return Seen(x.flatten(2).transpose(1, 2), (x.shape[2], x.shape[3]), 0)
        grid = self._grid(found.shape[1], pixels.shape[2], pixels.shape[3])
        places = found.shape[1]
        kept = tuple(
            w for w in layers if w.ndim == 4 and w.shape[0] == found.shape[0] and w.shape[2:] == (places, places)
        )
        return Seen(found, grid, self.prefix, kept)

    def _features(self, pixels: Tensor, asked: Asked) -> tuple[Tensor, tuple[Tensor, ...]]:
        if self.library == "transformers":
            needed: Any = {"none": False, "last": encoders.last_layer(self.network), "all": True}[asked]
            places = {"interpolate_pos_encoding": True} if _interpolates(self.network) else {}
            made = self.network(pixel_values=pixels, output_attentions=needed, **places)
            layers = tuple(getattr(made, "attentions", None) or ())
            return made.last_hidden_state, tuple(w for w in layers if w is not None)
        run = self.network.forward_features if self.library == "timm" else self._run_torchvision
        with _watching(self.network, asked) as watched:
            found = run(pixels)
        return found, tuple(watched)

    def _run_torchvision(self, pixels: Tensor) -> Tensor:
        network = self.network
        if hasattr(network, "conv_proj"):  # its own way in takes images of one size
            x = network.conv_proj(pixels)
            grid = (x.shape[2], x.shape[3])
            x = torch.cat((network.class_token.expand(x.shape[0], -1, -1), x.flatten(2).transpose(1, 2)), 1)
            encoder = network.encoder
            x = encoder.dropout(x + positions(encoder.pos_embedding, grid))
            for layer in encoder.layers:
                x = self._through(layer, x)
            return encoder.ln(x)
        x = pixels
        for name, child in network.named_children():
            if name in ENDS:
                break
            for module in child if isinstance(child, nn.ModuleList) else (child,):
                x = self._through(module, x)
        return x

    def _through(self, module: nn.Module, x: Tensor) -> Tensor:
        """A layer's output; where activations are to be made again, it keeps only what goes in."""
        if self.again and self.training and torch.is_grad_enabled():
            made: Tensor = checkpoint(module, x, use_reentrant=False)
            return made
        found: Tensor = module(x)
        return found

    def _map(self, found: Tensor) -> Tensor:
        """(batch, width, rows, columns), wherever the library puts the channels"""
        return found.permute(0, 3, 1, 2) if getattr(self.network, "output_fmt", None) == "NHWC" else found

    def _grid(self, places: int, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of as many parts, whose cells are about square."""
        parts = places - self.prefix
        rows = max(round((parts * height / width) ** 0.5), 1)
        if rows * (parts // rows) != parts:
            raise UserError(
                f"{PLACE}={self.source}: its {places} tokens are no grid of patches on images of {height}x{width} "
                "pixels; give another, or set model.resize"
            )
        return rows, parts // rows

    def _tried(self, size: tuple[int, int]) -> tuple[bool, int, bool]:
        """The form of the output: a map or tokens, its width, and where attention is told; idle modules are removed."""
        self.network.eval()
        pixels = torch.zeros(1, 3, *size)
        weights = [p for p in self.network.parameters() if p.requires_grad]
        try:
            with torch.enable_grad():
                found, layers = self._tried_with(pixels)
                moved = torch.autograd.grad(found.sum(), weights, allow_unused=True) if weights else ()
        except (RuntimeError, ValueError, AssertionError, TypeError, AttributeError, NotImplementedError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise UserError(
                f"{PLACE}={self.source}: cannot read images of {size[0]}x{size[1]} pixels ({reason}); set model.resize "
                "to the size that it was made for, or give another"
            ) from None
        idle = {id(p) for p, slope in zip(weights, moved, strict=True) if slope is None}
        for name, child in list(self.network.named_children()):
            own = list(child.parameters())
            if own and all(id(p) in idle for p in own):  # a classifier, which nobody asks
                setattr(self.network, name, nn.Identity())
        for p in self.network.parameters():
            if id(p) in idle:
                p.requires_grad_(False)
        if not isinstance(found, Tensor) or found.ndim not in (3, 4):
            raise UserError(f"{PLACE}={self.source}: ends neither in a map nor in tokens; give another")
        if found.ndim == 4:
            return True, self._map(found).shape[1], False
        self.prefix = self._prefix(found.shape[1], size)
        places = found.shape[1]
        return False, found.shape[2], any(w.ndim == 4 and w.shape[2:] == (places, places) for w in layers)

    def _tried_with(self, pixels: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Features and weights. What attends in a way that is not ours to change goes on as its library does it."""
        try:
            return self._features(pixels, "all")
        except (RuntimeError, TypeError, UserError):
            if self.library != "transformers" or self.network.config._attn_implementation == "eager":
                raise
            self.network.set_attn_implementation("eager")
            return self._features(pixels, "all")

    def _prefix(self, places: int, size: tuple[int, int]) -> int:
        """Tokens that stand for no patch."""
        told = getattr(self.network, "num_prefix_tokens", None)
        if told is not None:
            return int(told)
        if self.library == "torchvision":
            return 1
        config = getattr(self.network, "config", None)
        patch = getattr(config, "patch_size", None)
        if patch is None:
            return 0
        height, width = (patch, patch) if isinstance(patch, int) else patch
        return max(places - (size[0] // height) * (size[1] // width), 0)

    def levels(self) -> list[list[nn.Module]]:
        """From the pixels to the features: a stem, then blocks or stages, each a level."""
        if self.library == "transformers" and len(found := encoders.levels(self.network)) > 1:
            return found
        found = _levels(self.network)
        return found if len(found) > 1 else [[child] for child in self.network.children() if any(_weights(child))]


def _levels(module: nn.Module, *, stem: bool = True) -> list[list[nn.Module]]:
    """A module's children by depth: the members of a row one after the other, what stands between rows with the last.

    The first child is a `stem`, even if it is a row.
    """
    levels: list[list[nn.Module]] = [[]]
    for i, (name, child) in enumerate(module.named_children()):
        if (i == 0 and stem and name != "features") or not any(map(_row, child.modules())):
            levels[-1].append(child)
        elif _row(child):
            levels += [[member] for member in child.children()]
        else:
            first, *rest = _levels(child, stem=False)
            levels[-1] += first
            levels += rest
    return levels if levels[0] else levels[1:]


def _weights(module: nn.Module) -> Iterator[bool]:
    return (True for _ in module.parameters())


def _row(module: nn.Module) -> bool:
    return isinstance(module, nn.Sequential | nn.ModuleList) and len(module) > 1


def _interpolates(network: Any) -> bool:
    return "interpolate_pos_encoding" in inspect.signature(network.forward).parameters


def positions(table: Tensor, grid: tuple[int, int]) -> Tensor:
    """Learned positions of a square grid behind one of a class token, (1, 1 + parts, width), for another grid."""
    first, rest = table[:, :1], table[:, 1:]
    side = round(rest.shape[1] ** 0.5)
    if (side, side) == grid:
        return table
    square = rest.transpose(1, 2).unflatten(2, (side, side))
    fitted = F.interpolate(square, grid, mode="bicubic", antialias=True)
    return torch.cat((first, fitted.flatten(2).transpose(1, 2)), 1)


@contextmanager
def _watching(network: nn.Module, asked: Asked) -> Iterator[list[Tensor]]:
    """Collects the weights of the attention layers that are asked, which then spell out what else is fused."""
    found: list[Tensor] = []
    with ExitStack() as undo:
        spelled = [m for m in network.modules() if hasattr(m, "fused_attn") and hasattr(m, "attn_drop")]
        called = [m for m in network.modules() if isinstance(m, nn.MultiheadAttention)]
        for module in _asked(spelled, asked):
            undo.callback(setattr, module, "fused_attn", module.fused_attn)
            module.fused_attn = False
            undo.callback(module.attn_drop.register_forward_pre_hook(lambda _, given: found.append(given[0])).remove)
        for module in _asked(called, asked):
            undo.callback(module.register_forward_pre_hook(_with_weights, with_kwargs=True).remove)
            undo.callback(module.register_forward_hook(lambda _, given, made: found.append(made[1])).remove)
        yield found


def _asked(modules: list[Any], asked: Asked) -> list[Any]:
    return {"none": [], "last": modules[-1:], "all": modules}[asked]


def _with_weights(module: nn.Module, given: Any, named: dict[str, Any]) -> Any:
    return given, {**named, "need_weights": True, "average_attn_weights": False}


def recompute(backbone: Backbone) -> None:
    """Has the network make its activations again in the backward pass."""
    network = backbone.network
    if backbone.library == "transformers":
        encoders.recompute(network)
    elif backbone.library == "torchvision":
        backbone.again = True
    elif hasattr(network, "set_grad_checkpointing"):
        network.set_grad_checkpointing(True)
    else:
        raise UserError(f"model.recompute=true: {backbone.source} cannot do that; set it to false")
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):  # sees each batch twice, and moves half as far each time
            module.momentum = 1 - (1 - (module.momentum or 0.0)) ** 0.5
