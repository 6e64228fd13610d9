"""Two networks written with torch.nn alone, as many are: a residual one for images and a Transformer for tokens."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["Block", "resnet18", "transformer"]

WIDTHS = (64, 128, 256, 512)


class Block(nn.Module):
    """Two 3x3 convolutions and what they are added to."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or inputs != width:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(y + self.downsample(x))


def resnet18(classes: int = 1000, narrow: int = 1) -> nn.Sequential:
    """ResNet-18: 20 batch normalizations; `narrow` divides its widths."""
    first, *_ = widths = [w // narrow for w in WIDTHS]
    parts: list[nn.Module] = [
        nn.Conv2d(3, first, 7, 2, 3, bias=False), nn.BatchNorm2d(first), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)
    ]  # fmt: skip
    inputs = first
    for k, width in enumerate(widths):
        parts += [Block(inputs, width, 1 if k == 0 else 2), Block(width, width, 1)]
        inputs = width
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes))


def transformer(width: int = 256, layers: int = 4, heads: int = 4, *, first: bool = True, dropout: float = 0.0) -> nn.TransformerEncoder:
    """A Transformer's encoder with a last normalization; `first`: before attention and feed-forward part, not after."""
    layer = nn.TransformerEncoderLayer(width, heads, 4 * width, dropout, batch_first=True, norm_first=first, activation="gelu")
    return nn.TransformerEncoder(layer, layers, nn.LayerNorm(width), enable_nested_tensor=False)
