"""Image backbones of timm, torchvision and transformers: found, loaded or made anew, and described for the run."""

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from attnpred.errors import NotInstalled, UserError, suggest
from attnpred.files import read_json
from attnpred.machine import hub
from attnpred.models import encoders

PLACE = "model.source"
Library = Literal["timm", "torchvision", "transformers"]
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # mean and deviation, of pixels between 0 and 1
BESIDE = ("googlenet", "inception_v3")  # which have classifiers beside their last one
WEIGHTS = ("model.safetensors", "pytorch_model.bin")


@dataclass(frozen=True)
class Description:
    """All that a network is made from, its weights apart; kept in the run directory."""

    library: Library
    name: str  # of the architecture; of transformers the model type
    mean: tuple[float, ...]  # a channel, of pixels between 0 and 1
    std: tuple[float, ...]
    architecture: dict[str, Any] | None = None  # a config of transformers

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def read(cls, file: Path) -> "Description":
        """The backbone that a run keeps; it may be a stranger's."""
        values = read_json(file)
        try:
            found = cls(**{**values, "mean": _three(values["mean"]), "std": _three(values["std"])})
            _check_known(found)
        except Exception as error:  # of any type, by what is wrong with it
            reason = str(error).partition("\n")[0]
            raise UserError(f"{file}: no backbone can be made of it ({reason}); restore the file") from None
        return found


@dataclass(frozen=True)
class _AsItIs:
    """An encoder with the dropout of its checkpoint."""

    source: str
    pooling: str = "attention"
    dropout: float | None = None
    attention_dropout: float | None = None


def load(source: str, size: tuple[int, int], *, pretrained: bool) -> tuple[Any, Description]:
    """The network that a source names, for images of this height and width, and what it is made from."""
    local = hub.locate_model(source, place=PLACE)
    owner, _, name = source.partition("/")
    if local is None and owner == "torchvision":
        found = Description("torchvision", _known(name, _torchvision_names(), source), *IMAGENET)
        network = make(found, size)
        if pretrained:
            network.load_state_dict(
                {k: v for k, v in _torchvision_weights(name).items() if not k.lower().startswith("aux")}
            )
        return network, found
    if local is None and owner == "timm" and not pretrained:  # nothing is needed but the name
        return _of_timm(source, name, {}, None, size)
    values = read_json(_file(source, local, "config.json"))
    if not isinstance(values, dict):
        raise UserError(f"{PLACE}={source}: its config.json describes no model; give another")
    if isinstance(values.get("architecture"), str):
        weights = _weights(source, local) if pretrained else None
        return _of_timm(source, values["architecture"], values, weights, size)
    return _of_transformers(source, local, values, pretrained=pretrained)


def make(description: Description, size: tuple[int, int]) -> Any:
    """A network with fresh weights."""
    if description.library == "torchvision":
        from torchvision import models

        plain: dict[str, Any] = {"aux_logits": False, "init_weights": True} if description.name in BESIDE else {}
        return models.get_model(description.name, weights=None, **plain)
    if description.library == "transformers":
        return encoders.make(encoders.architecture_of(description.architecture))
    import timm

    try:  # positions are those of images of this size
        return timm.create_model(description.name, pretrained=False, num_classes=0, img_size=size)
    except TypeError:  # an architecture that takes any
        return timm.create_model(description.name, pretrained=False, num_classes=0)


def _of_timm(
    source: str, name: str, values: dict[str, Any], weights: Path | None, size: tuple[int, int]
) -> tuple[Any, Description]:
    timm = _timm(source)
    trained = values.get("pretrained_cfg")
    trained = trained if isinstance(trained, dict) else {}
    if not timm.is_model(name):
        raise UserError(f"{PLACE}={source}: timm {timm.__version__} knows no {name}{suggest(name, timm.list_models())}")
    usual = _usual(timm, name)
    if usual is None and "." in name:
        known = timm.list_pretrained(f"{name.partition('.')[0]}.*")
        raise UserError(
            f"{PLACE}={source}: timm {timm.__version__} knows no such weights; choose of {', '.join(known)}"
        )
    if isinstance(trained.get("tag"), str) and _usual(timm, tagged := f"{name}.{trained['tag']}") is not None:
        name = tagged
    mean, std = (
        tuple(trained.get(key) or getattr(usual, key, None) or imagenet)
        for key, imagenet in zip(("mean", "std"), IMAGENET, strict=True)
    )
    try:
        found = Description("timm", name, _three(mean), _three(std))
    except ValueError as error:
        raise UserError(f"{PLACE}={source}: {error} in its config.json; give another") from None
    network = make(found, size)
    if weights is not None:
        _fill(network, _tensors(weights, source), source)
    return network, found


def _usual(timm: Any, name: str) -> Any:
    """timm's record of a name's weights; None where it knows of none."""
    try:
        return timm.get_pretrained_cfg(name)
    except RuntimeError:
        return None


def _fill(network: Any, state: dict[str, Any], source: str) -> None:
    """Gives a network of timm the tensors of a checkpoint, positions for another size among them."""
    adapt = getattr(sys.modules[type(network).__module__], "checkpoint_filter_fn", None)
    try:
        state = state if adapt is None else adapt(state, network)
        lost = network.load_state_dict(state, strict=False).missing_keys
    except (RuntimeError, KeyError, TypeError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UserError(f"{PLACE}={source}: its weights do not fit its config.json ({reason}); give another") from None
    if lost:
        raise UserError(
            f"{PLACE}={source}: its weights lack {len(lost)} of the backbone's tensors (the first: {lost[0]}); "
            "give a checkpoint whose weights belong to its config.json"
        )


def _of_transformers(
    source: str, local: Path | None, values: dict[str, Any], *, pretrained: bool
) -> tuple[Any, Description]:
    if pretrained:
        network = encoders.load(_AsItIs(source))
    else:
        try:
            network = encoders.make(encoders.architecture_of(values))
        except Exception as error:  # of any type, by what is wrong with it
            reason = str(error).strip().partition("\n")[0]
            raise UserError(f"{PLACE}={source}: no model can be made of its config.json ({reason})") from None
    if network.main_input_name != "pixel_values":
        raise UserError(f"{PLACE}={source}: {network.config.model_type} reads no images alone; give an image backbone")
    values = network.config.to_dict()
    values.pop("_name_or_path", None)  # a place on this machine
    try:
        shown = read_json(_file(source, local, "preprocessor_config.json"))
        mean, std = _three(shown["image_mean"]), _three(shown["image_std"])
    except (UserError, OSError, KeyError, TypeError, ValueError):
        mean, std = IMAGENET
    return network, Description("transformers", network.config.model_type, mean, std, values)


def _file(source: str, local: Path | None, name: str) -> Path:
    """One file of a source: from its directory, else from the hub's cache, else from the hub."""
    if local is not None:
        if not (local / name).is_file():
            raise UserError(
                f"{PLACE}={source}: no backbone can be loaded from there (it holds no {name}); give another"
            )
        return local / name
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(source, name, local_files_only=True))
    except (LocalEntryNotFoundError, ValueError):
        hub.require(source, None, place=PLACE, kind="model")
    try:
        return Path(hf_hub_download(source, name))
    except EntryNotFoundError:
        raise UserError(f"{PLACE}={source}: has no {name}; give another") from None


def _weights(source: str, local: Path | None) -> Path:
    first, second = WEIGHTS
    try:
        return _file(source, local, first)
    except UserError as error:
        try:
            return _file(source, local, second)
        except UserError:
            raise error from None


def _tensors(file: Path, source: str) -> dict[str, Any]:
    """A file's tensors; no code in it is run."""
    from safetensors.torch import load_file

    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        found = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # of any type, by where the file is damaged
        reason = (str(error).strip() or type(error).__name__).partition("\n")[0]
        raise UserError(f"{PLACE}={source}: {file.name} cannot be read ({reason}); give another") from None
    if not isinstance(found, dict):
        raise UserError(f"{PLACE}={source}: {file.name} holds no weights; give another")
    return found


def _torchvision_weights(name: str) -> Any:
    from torchvision import models

    weights = models.get_model_weights(name).DEFAULT
    try:
        return weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except OSError as error:  # of the network, and of the disk
        kept = Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name
        raise UserError(
            f"{PLACE}=torchvision/{name}: its weights are not at {kept} and cannot be fetched ({error}); put them "
            "there, connect to the network once, or set model.pretrained=false"
        ) from None


def _torchvision_names() -> list[str]:
    from torchvision import models

    return list(models.list_models(module=models))


def _known(name: str, names: list[str], source: str) -> str:
    if name not in names:
        raise UserError(f"{PLACE}={source}: torchvision knows no {name}{suggest(name, names)}")
    return name


def _timm(source: str) -> Any:
    try:
        import timm
    except ImportError:
        raise NotInstalled(f"{PLACE}={source}", "timm", "timm") from None
    return timm


def _check_known(found: Description) -> None:
    if found.library == "transformers":
        encoders.architecture_of(found.architecture)
    elif found.library == "torchvision":
        _known(found.name, _torchvision_names(), found.name)
    elif found.library != "timm" or not _timm(found.name).is_model(found.name):
        raise ValueError(f"{found.library} knows no {found.name}")


def _three(values: Any) -> tuple[float, ...]:
    numbers = tuple(values)
    if len(numbers) != 3 or not all(type(one) in (int, float) and -1e3 < one < 1e3 for one in numbers):
        raise ValueError("mean and deviation are not three numbers each")
    return tuple(float(one) for one in numbers)
