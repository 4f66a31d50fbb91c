"""Runs in two processes, whole and in parts, each rank keeping its model: `python training_devices.py OUT OPTIONS`."""

from __future__ import annotations

import json
import os
import sys

import torch
from safetensors.torch import save_file

import training_run

KINDS = ("Gathered", "Autoencoder")


def main(out: str, options: dict) -> None:
    torch.set_num_threads(1)
    for kind in KINDS:
        model, _ = training_run.run(kind, f"{out}/{kind}", options)
        save_file(model.state_dict(), f"{out}/{kind}/rank-{os.environ['LOCAL_RANK']}.safetensors")
        training_run.run(kind, f"{out}/{kind}-parts", options | {"steps": options["steps"] // 2})
        training_run.run(kind, f"{out}/{kind}-parts", options, resume=True)


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
