"""FastCNN and its training in PyTorch, for `benchmarks/accelerator.py`; needs no flaxmill.

    python torch_fast_cnn.py FOLDER [--device cuda] [--channels-last] [--compile]
        --channels 16 32 64 --residual 0 0 0 --epochs 1.2 … [--flip]

FOLDER holds Fashion-MNIST's four files. Network, schedule and augmentation are those of flaxmill's
recipe, in float32, and so are the options, which have no defaults here: the recipe's presets say
them. Everything lies and happens on the device, for a whole batch at once. Prints a JSON line for
each evaluation on the validation split, the last training examples, and one in the end for the
test set, which is read once. Seconds count from ``--began``, a time as the system's clock has it.
"""

import argparse
import copy
import functools
import json
import math
import time
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional
from torch.optim.swa_utils import get_ema_multi_avg_fn
from torch_cnn import read, use
from torch_muon import Muon

CLASSES = 10
EVALUATED = 1000  # pictures at a time


class Block(nn.Module):
    """A 3×3 convolution without bias, and the batch normalisation of its output, without scale."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(before, after, 3, padding="same", bias=False)
        nn.init.kaiming_normal_(self.convolution.weight, nonlinearity="linear")
        self.norm = nn.BatchNorm2d(after, eps=1e-5, momentum=0.05)
        self.norm.weight.requires_grad_(False)


class FastCNN(nn.Module):
    """Blocks that halve the picture, each followed by its residual blocks; one dense layer.

    Args:
        side: Height and width of a picture, in pixels.
        channels: Output channels of each block.
        residual: Number of residual blocks after each block; none where no number is given.
    """

    def __init__(self, side: int, channels: list[int], residual: list[int]) -> None:
        super().__init__()
        residual = residual + [0] * (len(channels) - len(residual))
        widths = zip([1, *channels], channels, strict=False)
        self.blocks = nn.ModuleList(Block(before, after) for before, after in widths)
        self.residual = nn.ModuleList(
            nn.ModuleList(Block(width, width) for _ in range(count))
            for width, count in zip(channels, residual, strict=True)
        )
        for _ in channels:
            side = -(-side // 2)
        self.head = nn.Linear(side * side * channels[-1], CLASSES)
        nn.init.kaiming_normal_(self.head.weight, nonlinearity="linear")
        nn.init.zeros_(self.head.bias)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Returns the logits of bytes [example, height, width]."""
        x = pictures[:, None].float() / 255
        for block, residual in zip(self.blocks, self.residual, strict=True):
            x = functional.pad(x, (0, x.shape[3] % 2, 0, x.shape[2] % 2))
            x = functional.relu(block.norm(functional.max_pool2d(block.convolution(x), 2)))
            for more in residual:
                x = functional.relu(x + more.norm(more.convolution(x)))
        return self.head(x.flatten(1))


class Average:
    """A moving average of a model's parameters and batch statistics; integers are kept up.

    Its memory is shorter at first, so that the random start is forgotten. AveragedModel, which
    torch has, would leave that start out, and average integers too.

    Args:
        model: The average begins as it is, and is a model too.
        decay: Share of the average that is left after a step, at most.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model, self.decay, self.taken = copy.deepcopy(model), decay, 0
        averages, latest = (one.state_dict().values() for one in (self.model, model))
        pairs = list(zip(averages, latest, strict=True))
        self.floats = [pair for pair in pairs if pair[0].is_floating_point()]
        self.integers = [pair for pair in pairs if not pair[0].is_floating_point()]

    def follow(self) -> None:
        """Moves towards the model, which took a step."""
        decay = min(self.decay, (1 + self.taken) / (10 + self.taken))
        self.taken += 1
        averages, latest = zip(*self.floats, strict=True)
        get_ema_multi_avg_fn(decay)(averages, latest, self.taken)
        for kept, integer in self.integers:
            kept.copy_(integer)


def augmented(pictures: torch.Tensor, *, flip: bool, shift: int, cutout: int) -> torch.Tensor:
    """Returns a batch of pictures, each mirrored or not, moved, and with a square cut out."""
    count, height, width = pictures.shape

    def drawn(limit: int) -> torch.Tensor:
        return torch.randint(limit, (count, 1), device=pictures.device)

    rows, columns = (torch.arange(size, device=pictures.device)[None] for size in (height, width))
    if flip:
        pictures = torch.where(drawn(2)[:, :, None] == 1, pictures.flip(2), pictures)
    if shift:
        padded = functional.pad(pictures, (shift,) * 4)
        down, right = rows + drawn(2 * shift + 1), columns + drawn(2 * shift + 1)
        example = torch.arange(count, device=pictures.device)[:, None, None]
        pictures = padded[example, down[:, :, None], right[:, None, :]]
    if cutout:
        top, left = (drawn(size) - cutout // 2 for size in (height, width))
        within_rows = (rows >= top) & (rows < top + cutout)
        within_columns = (columns >= left) & (columns < left + cutout)
        inside = within_rows[:, :, None] & within_columns[:, None, :]
        pictures = pictures.masked_fill(inside, 0)
    return pictures


def accuracy(model: nn.Module, pictures: torch.Tensor, labels: torch.Tensor, views: str) -> float:
    """Returns the share of right answers, each an average over views as the recipe's are."""
    moves = {(0, 0): 1.0}
    if views == "all":
        moves |= {move: 0.5 for move in ((1, 0), (-1, 0), (0, 1), (0, -1))}
    model.eval()
    right = torch.zeros((), dtype=torch.int64, device=labels.device)
    with torch.no_grad():
        for part, truth in zip(pictures.split(EVALUATED), labels.split(EVALUATED), strict=True):
            logits = 0
            for (down, across), weight in moves.items():
                moved = functional.pad(part, (across, -across, down, -down))
                for view in (moved,) if views == "one" else (moved, moved.flip(2)):
                    logits = logits + weight * model(view)
            right += (logits.argmax(1) == truth).sum()
    model.train()
    return right.item() / len(labels)


def rate(step: int, steps: int, peak: float, warmup: float) -> float:
    """Returns the learning rate of a step: a linear rise to the peak, then a linear fall."""
    rising = max(1, round(warmup * steps))
    if step < rising:
        return peak * (1 / rising + (1 - 1 / rising) * step / rising)
    return peak * (1 - (step - rising) / max(1, steps - rising))


def parsed() -> argparse.Namespace:
    """Returns the options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--began", type=float, default=time.time())
    parser.add_argument("--flip", action="store_true")
    parser.add_argument("--views", choices=("one", "mirrored", "all"), required=True)
    for name, count in (("channels", "+"), ("residual", "*")):
        parser.add_argument(f"--{name}", type=int, nargs=count, required=True, help="of each block")
    for name in ("seed", "validation", "batch-size", "shift", "cutout"):
        parser.add_argument(f"--{name}", type=int, required=True)
    durations = ("epochs", "evaluate-every", "warmup")
    rates = ("learning-rate", "dense-rate", "bias-rate", "momentum", "label-smoothing", "ema")
    for name in (*durations, *rates):
        parser.add_argument(f"--{name}", type=float, required=True)
    return parser.parse_args()


def main() -> None:
    """Trains."""
    options = parsed()
    torch.manual_seed(options.seed)
    device, size = use(options.device), options.batch_size
    (pictures, labels), test = (
        (images[:, 0].to(device), truth.to(device))
        for images, truth in (read(options.folder, part) for part in ("train", "t10k"))
    )
    held_out = len(labels) - options.validation
    model = FastCNN(pictures.shape[1], options.channels, options.residual).to(device)
    if options.channels_last:
        model = model.to(memory_format=torch.channels_last)
    optimizer = Muon(
        model,
        momentum=options.momentum,
        dense=options.dense_rate,
        bias=options.bias_rate,
        compiled=options.compile,
    )
    average = Average(model, options.ema) if options.ema else None
    judged = average.model if average else model
    cross_entropy = nn.CrossEntropyLoss(label_smoothing=options.label_smoothing)
    change = functools.partial(
        augmented, flip=options.flip, shift=options.shift, cutout=options.cutout
    )

    def objective(rows: torch.Tensor) -> torch.Tensor:
        return cross_entropy(model(change(pictures[rows])), labels[rows])

    loss = torch.compile(objective) if options.compile else objective

    def tell(split: str, step: int, figure: float) -> None:
        seconds = round(time.time() - options.began, 3)
        line = {"step": step, "split": split, "accuracy": figure, "seconds": seconds}
        print(json.dumps(line), flush=True)

    steps = max(1, round(options.epochs * held_out / size))
    every = max(1.0, options.evaluate_every * held_out / size)
    stops = {round(count * every) for count in range(1, math.ceil(steps / every))} | {steps}
    permutations = [
        torch.randperm(held_out, device=device) for _ in range(math.ceil(steps * size / held_out))
    ]
    batches = torch.cat(permutations)[: steps * size].split(size)
    for step, rows in enumerate(batches):
        loss(rows).backward()
        optimizer.step(rate(step, steps, options.learning_rate, options.warmup))
        if average:
            average.follow()
        if step + 1 in stops:
            held = (pictures[held_out:], labels[held_out:])
            tell("validation", step + 1, accuracy(judged, *held, options.views))
    tell("test", steps, accuracy(judged, *test, options.views))


if __name__ == "__main__":
    main()
