"""What our options are called elsewhere: whoever types such a name is told ours."""

import re
from collections.abc import Collection, Sequence

from flaxmill.errors import BadInput
from flaxmill.machine.program import command_line, quote

OPTIONS = {
    "--learning-rate": "lr learning-rate-init base-lr",
    "--batch-size": "bs batch minibatch train-batch-size per-device-train-batch-size",
    "--epochs": "epoch num-epochs n-epochs num-train-epochs max-epochs",
    "--weight-decay": "wd decay",
    "--warmup": "warmup-ratio warmup-epochs warmup-steps",
    "--network": "arch model model-name backbone",
    "--size": "imgsz img-size image-size resolution input-size",
    "--data": "dataset data-dir data-path dataset-dir train-dir root path",
    "--validation": "val val-split validation-split val-size",
    "--init-from": "pretrained weights checkpoint finetune load",
    "--run": "output out output-dir out-dir save-dir project logdir log-dir name",
    "--readers": "workers num-workers threads jobs",
    "--skip-unreadable": "ignore-errors skip-errors",
    "--precision bfloat16": "amp fp16 bf16 half mixed-precision",
    "--optimizer": "opt optim",
    "--dropout": "drop drop-rate",
    "--accumulate": "grad-accum accum gradient-accumulation-steps",
}
"""Options of training, and what else people call them."""
RESUMED = "the same command goes on with a run that is not finished, without an option."
DEVICES = frozenset(["device", "devices", "gpu", "gpus", "cuda", "cpu", "tpu"])


def refuse(recipe: str, arguments: Sequence[str], known: Collection[str], program: str) -> None:
    """Refuses options that have another name here, and a folder without an option.

    Args:
        recipe: The recipe that was named.
        arguments: What follows it.
        known: The options that it takes.
        program: What was typed before them.

    Raises:
        BadInput: The message says what to type.
    """
    if arguments and not arguments[0].startswith("-"):
        place = quote(arguments[0])
        way = f": {program} --data {place}" if "--data" in known else ""
        raise BadInput(f"{arguments[0]!r} follows {recipe} without an option that takes it{way}.")
    for argument in arguments:
        match = re.match(r"--[a-z][\w-]*|$", argument.lower())
        name = match[0].replace("_", "-") if match else ""
        if not name or name in known:
            continue
        if name[2:] == "resume":
            raise BadInput(f"{recipe} has no option {argument}: {RESUMED}")
        if name[2:] in DEVICES:
            raise BadInput(f"{recipe} has no option {argument}: {_of_devices()}")
        for ours, others in OPTIONS.items():
            if name[2:] in others.split() and ours.split()[0] in known:
                raise BadInput(f"{recipe} has no option {argument}: that is {ours} here.")


def _of_devices() -> str:
    import jax

    kinds = ", ".join(sorted({device.device_kind for device in jax.devices()}))
    return (
        f"JAX takes an accelerator where it finds one, and here has {jax.device_count()} × "
        f"{jax.default_backend()} ({kinds}). JAX_PLATFORMS=cpu before the command keeps to the "
        f"processor; {command_line('doctor')} says what is missing for a GPU."
    )
