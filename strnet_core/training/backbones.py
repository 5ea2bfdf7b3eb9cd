"""Any classification model of torchvision as a feature extractor: one-channel stem, no classifier, global average pooling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from strnet_core.errors import TrainingSettingsError
from strnet_core.network.backbone import FEATURES, build_backbone
from strnet_core.network.torchvision_import import torchvision_models

PAPER_BACKBONE = "resnet50"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One of the eleven extractors of the comparison (paper 3.4, Fig. 6)."""

    backbone: str
    label: str
    named: bool
    """Whether the paper's text names it; the others are this project's choice, because its figure only shows them."""


COMPARISON = (
    Compared(backbone="resnet50", label="ResNet-50 (STR-Net)", named=True),
    Compared(backbone="vgg19", label="VGG19", named=True),
    Compared(backbone="vit_b_16", label="ViT-B/16-384", named=True),
    Compared(backbone="resnet18", label="ResNet-18", named=False),
    Compared(backbone="resnet101", label="ResNet-101", named=False),
    Compared(backbone="resnext50_32x4d", label="ResNeXt-50", named=False),
    Compared(backbone="densenet121", label="DenseNet-121", named=False),
    Compared(backbone="efficientnet_b0", label="EfficientNet-B0", named=False),
    Compared(backbone="mobilenet_v3_large", label="MobileNetV3-Large", named=False),
    Compared(backbone="convnext_tiny", label="ConvNeXt-Tiny", named=False),
    Compared(backbone="swin_t", label="Swin-T", named=False),
)

FIXED_SIZES: Mapping[str, int] = {
    "vit_b_16": 384,  # as the paper has it
    "vit_b_32": 384,
    "vit_l_16": 384,
    "vit_l_32": 384,
    "vit_h_14": 518,
    "maxvit_t": 224,
}
"""Side in pixels of the backbones that take no other input; all others take any size."""

_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    **{name: {"image_size": size} for name, size in FIXED_SIZES.items() if name.startswith("vit")},
    "maxvit_t": {"input_size": (224, 224)},
    "inception_v3": {"aux_logits": False, "init_weights": True},
    "googlenet": {"aux_logits": False, "init_weights": True},
}
_MAPS = ("vgg", "alexnet", "squeezenet")
_MAP_FEATURES = {"squeezenet1_0": 512, "squeezenet1_1": 512}
"""Their last block joins two convolutions."""
_CLASSIFIERS = ("fc", "classifier", "head", "heads")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Backbone:
    """Images (n, 1, h, w) to pooled features (n, features)."""

    module: nn.Module
    features: int


class _Pooled(nn.Module):
    """The mean over the image of a map (n, features, h, w)."""

    def __init__(self, features: nn.Module) -> None:
        super().__init__()
        self.features = features

    def forward(self, images: Tensor) -> Tensor:
        maps: Tensor = self.features(images)
        return maps.mean(dim=(2, 3))


def backbone_names() -> tuple[str, ...]:
    """All that `build` takes."""
    models = torchvision_models()
    return tuple(models.list_models(module=models))


def build(name: str, size_px: int) -> Backbone:
    """A backbone with random weights from torch's global generator.

    Raises TrainingSettingsError for an unknown name and for a size that it does not take.
    """
    if name not in backbone_names():
        raise TrainingSettingsError(f"torchvision has no classification model {name!r}")
    if size_px != FIXED_SIZES.get(name, size_px):
        raise TrainingSettingsError(f"{name} takes {FIXED_SIZES[name]} x {FIXED_SIZES[name]} only")
    return _backbone(name)


def _backbone(name: str) -> Backbone:
    if name == PAPER_BACKBONE:
        return Backbone(module=_Pooled(build_backbone()), features=FEATURES)
    model = torchvision_models().get_model(name, weights=None, **_OPTIONS.get(name, {}))
    _make_grey(model)
    if name.startswith(_MAPS):
        # their own classifiers are most of their weights; the comparison keeps neck and heads, so the maps are pooled
        last = [part for part in model.features.modules() if isinstance(part, nn.Conv2d)][-1]
        return Backbone(module=_Pooled(model.features), features=_MAP_FEATURES.get(name, last.out_channels))
    attribute = next(part for part in _CLASSIFIERS if hasattr(model, part))
    classifier = getattr(model, attribute)
    features = next(part.in_features for part in classifier.modules() if isinstance(part, nn.Linear))
    setattr(model, attribute, _without_last_layer(classifier))
    if hasattr(model, "transform_input"):
        # it changes three channels into others, and there is one
        model.transform_input = False
    return Backbone(module=model, features=features)


def _without_last_layer(classifier: nn.Module) -> nn.Module:
    """What stands before the layer of classes and is no dropout, no further layer of weights: a norm, a flattening."""
    if isinstance(classifier, nn.Sequential):
        kept = [part for part in classifier if not isinstance(part, nn.Linear | nn.Dropout | nn.Hardswish | nn.Tanh | nn.ReLU)]
        return nn.Sequential(*kept)
    return nn.Identity()


def _make_grey(model: nn.Module) -> None:
    """The first convolution of three channels becomes one of one, with weights drawn as torch draws a convolution's."""
    for path, part in model.named_modules():
        if isinstance(part, nn.Conv2d) and part.in_channels == 3:  # noqa: PLR2004
            parent, _, last = path.rpartition(".")
            shape: dict[str, Any] = {
                name: getattr(part, name) for name in ("out_channels", "kernel_size", "stride", "padding", "dilation", "padding_mode")
            }
            grey = nn.Conv2d(in_channels=1, bias=part.bias is not None, **shape)
            setattr(model.get_submodule(parent), last, grey)
            return
    raise TrainingSettingsError("this model has no convolution of three channels to begin with")
