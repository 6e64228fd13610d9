"""The study note's convolutional network with local response normalization, and what it is worth there.

    .venv/bin/python examples/cnn.py               (some minutes on two cores)
    .venv/bin/python examples/cnn.py --epochs 1 --seeds 1

The note puts local response normalization between each convolution and its ReLU. At activations of order one it divides
by nearly the same number everywhere, k^0.75 with k = 2, so the network is trained beside a plain multiplication by
0.5946, beside batch normalization, and beside nothing. Handwritten digits, scaled to 3 x 32 x 32; Adam, because with
plain SGD the network without batch normalization hardly learns at all.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

import normlab as nl

CONSTANT = 2.0**-0.75  # what the note's local response normalization multiplies small activations by: 0.5946
TRAINED_ON = 1347  # three quarters of the 1797 digits
BATCH = 64


class Multiply(nn.Module):
    """Multiplication by a constant: the control for local response normalization."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x


NORMS: dict[str, Callable[[int], nn.Module]] = {
    "none": lambda channels: nn.Identity(),
    "local response norm": lambda channels: nl.torch.LocalResponseNorm(size=5, alpha=1e-4, beta=0.75, k=2.0),
    "times 0.5946": lambda channels: Multiply(CONSTANT),
    "batch norm": lambda channels: nl.torch.BatchNorm(channels),
}


def network(norm: Callable[[int], nn.Module]) -> nn.Sequential:
    """Three blocks of convolution, normalization, ReLU and pooling, then two linear layers: 620,362 parameters."""
    blocks: list[nn.Module] = []
    for n_in, n_out in ((3, 32), (32, 64), (64, 128)):
        blocks += [nn.Conv2d(n_in, n_out, 3, padding=1), norm(n_out), nn.ReLU(), nn.MaxPool2d(2)]
    # flatten(1) keeps the images apart whatever their size; view(-1, 2048) would cut a larger one into rows.
    return nn.Sequential(*blocks, nn.Flatten(1), nn.Linear(2048, 256), nn.ReLU(), nn.Linear(256, 10))


def images() -> tuple[Tensor, Tensor]:
    """The digits as (1797, 3, 32, 32) between 0 and 1, and their classes."""
    pixels, classes = nl.data.load_digits()
    small = torch.tensor(pixels.reshape(-1, 1, 8, 8) / 16.0, dtype=torch.float32)
    large = nn.functional.interpolate(small, size=(32, 32), mode="bilinear", align_corners=False)
    return large.expand(-1, 3, -1, -1).contiguous(), torch.tensor(classes, dtype=torch.int64)


def train(norm: Callable[[int], nn.Module], x: Tensor, y: Tensor, *, seed: int, epochs: int) -> tuple[float, float]:
    """Train one network; its accuracy on the quarter that it has not seen, and the seconds an epoch took."""
    torch.manual_seed(seed)
    net = network(norm)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    seen, unseen = order[:TRAINED_ON], order[TRAINED_ON:]
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    began = time.perf_counter()
    for _ in range(epochs):
        for part in seen[torch.randperm(len(seen))].split(BATCH):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x[part]), y[part]).backward()
            optimizer.step()
    seconds = (time.perf_counter() - began) / epochs
    net.eval()
    with torch.no_grad():
        right = (net(x[unseen]).argmax(dim=1) == y[unseen]).float().mean()
    return float(right), seconds


def main() -> None:
    parser = argparse.ArgumentParser(description="The study note's convolutional network, with four choices of norm.")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    net = network(NORMS["local response norm"])
    print(f"{sum(p.numel() for p in net.parameters()):,} parameters; one image gives {tuple(net(torch.zeros(1, 3, 32, 32)).shape)}")
    x, y = images()
    print(f"trained on {TRAINED_ON}, tested on {len(x) - TRAINED_ON}; accuracy from the worst to the best seed")
    for name, norm in NORMS.items():
        runs = [train(norm, x, y, seed=seed, epochs=given.epochs) for seed in range(given.seeds)]
        accuracies = sorted(accuracy for accuracy, _ in runs)
        print(f"{name:<20} {accuracies[0]:.3f} to {accuracies[-1]:.3f}   {min(s for _, s in runs):.1f} s an epoch")


if __name__ == "__main__":
    main()
