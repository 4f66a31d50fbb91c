"""`otgen evaluate`: the model of a run judged by true samples, its report in the run's folder."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from . import folders
from .data import DataSet, NoSplit
from .data import load as load_data
from .data.toys import TOYS
from .metrics import Extractor, Inception, LeNet, Pixels, evaluate, memorisation, render
from .models import AEOT, VAE, CriticScore, critic_score, saved
from .options import read_count, read_seed
from .run_folder import model_folder
from .training import read_metrics
from .training.logs import METRICS

FOLDER, REPORT = "evaluation", "report.json"
MOST = 10_000  # samples drawn where no number is asked for
CRITIC_POINTS = 2_000
EXTRACTORS = ("auto", "lenet", "pixels")
Progress = Callable[[dict[str, Any]], None] | None


class Judged:
    """A model, the true samples it is judged by, and what it makes: drawn once, for scores and pictures alike.

    truth (m, *shape) are the test samples in random order, training (l, *shape) the others; where a set has no test
    split truth is at most 10,000 of its samples, and training None. samples (n, *shape) are decoded from drawn
    (n, code), both None for a model that cannot sample; codes (m, code) and reconstructed (m, *shape) are those of
    truth, None for a model that cannot encode.
    """

    def __init__(self, model: Any, train: DataSet, test: DataSet | None, n: int | None, seed: int) -> None:
        self.model, self.seed = model, seed
        self.network = model.autoencoder if isinstance(model, AEOT) else model
        shape = (model.map.targets.shape[1],) if self.network is None else tuple(self.network.shape)
        truth = train if test is None else test
        if tuple(truth.shape) != shape:
            raise ValueError(
                f"--data must have samples of the shape that the model makes, {shape}; {truth.name} has "
                f"{tuple(truth.shape)}. Pass the set that it was trained on."
            )
        rows = np.random.default_rng([seed, 0x7457]).permutation(len(truth))  # a folder lists class by class
        if test is None:
            rows = rows[:MOST]
        self.truth, self.training = truth.x[rows], None if test is None else train.x[:]
        self.codes = self.reconstructed = self.samples = self.drawn = None
        if hasattr(self.network, "encode"):
            self.codes = self.encode(self.truth)
            self.reconstructed = model.reconstruct(self.tensor(self.truth)).cpu().numpy()
        if getattr(model, "HAS_PRIOR", True):
            self.drawn = self.draw(min(MOST, len(self.truth)) if n is None else n)
            self.samples = self.decode(self.drawn)

    def encode(self, x: np.ndarray) -> np.ndarray:
        """Codes (k, code) of x; of a VAE drawn from q(z|x), as their law and not that of their means is the prior."""
        if isinstance(self.model, VAE):
            return self.model.draw_codes(self.tensor(x), generator=self._generator(1)).cpu().numpy()
        return self.model.encode(self.tensor(x)).cpu().numpy()

    def decode(self, z: np.ndarray) -> np.ndarray:
        """Samples (k, *shape) of codes."""
        return self.model.decode(self.tensor(z)).cpu().numpy()

    def draw(self, n: int) -> np.ndarray:
        """n codes (n, code) that new samples are decoded from."""
        if isinstance(self.model, AEOT):
            found = self.model.sample_codes(n, generator=self._generator(0))
        else:
            found = self.model.prior(n, self._generator(0))
        return found.cpu().numpy()

    def critic(self) -> CriticScore:
        """The critic of a WGAN or an IWGAN against the exact W1."""
        return critic_score(self.model, self.tensor(self.truth[:CRITIC_POINTS]), generator=self._generator(2))

    def tensor(self, x: np.ndarray) -> torch.Tensor:
        """x where the model is."""
        return torch.from_numpy(x).to(self._device())

    def _device(self) -> torch.device:
        return torch.device("cpu") if self.network is None else next(self.network.parameters()).device

    def _generator(self, stream: int) -> torch.Generator:
        seed = int(np.random.SeedSequence(self.seed, spawn_key=(stream,)).generate_state(1, np.uint64)[0] >> 1)
        return torch.Generator(self._device()).manual_seed(seed)


def judge(
    run: Any,
    data: str | None = None,
    *,
    n: int | None = None,
    extractor: str = "auto",
    root: Any = None,
    seed: int = 0,
    progress: Progress = None,
) -> tuple[dict[str, Any], Judged]:
    """Judge the model that a run saved by the test split of data (None: of what it was trained on).

    Returns the report, and what it was made of. The report is that of `metrics.evaluate` with "run", "model", "data",
    "split", "seconds", and the critic's scores of a WGAN or an IWGAN; it is written to run/evaluation/report.json. n
    samples are drawn (None: as many as the test split has, at most 10,000). A set without a test split is its own
    reference (10,000 samples at most; "split" is then "train"), by which a model that copies it looks perfect:
    memorisation cannot be told. extractor is auto (lenet where images have labels, else pixels), lenet, pixels, or
    the file of Inception's weights; root is the folder of the data. progress is called with dicts that
    `progress_line` words.

    Raises ValueError or TypeError for bad input, FileNotFoundError where there is no saved model or no data.
    """
    began, out = time.perf_counter(), Path(run)
    count = None if n is None else read_count(n, "n", "samples")
    read_seed(seed)
    folder = model_folder(out)
    notes = saved.read_notes(folder)
    data = _named(data, notes, folder)
    train, test = _splits(data, root, notes)
    judged = Judged(saved.load(folder), train, test, count, seed)
    space = _extractor(extractor, train, test, progress)
    report = evaluate(
        judged.samples, judged.truth, extractor=space, training=judged.training,
        reconstructed=None if judged.reconstructed is None else (judged.truth, judged.reconstructed),
        latent=None if judged.codes is None or judged.drawn is None else (judged.codes, judged.drawn),
        toy=data if data in TOYS else None, seed=seed, progress=progress,
    )  # fmt: skip
    report["scores"] |= _code_rows(judged)
    if hasattr(judged.model, "critic_values"):
        report["scores"] |= _critic_rows(judged.critic())
    facts = {"run": str(out), "model": notes.get("model", getattr(judged.model, "NAME", "aeot")), "data": data}
    facts["split"] = "train" if test is None else "test"
    report = facts | report | {"seed": seed, "seconds": time.perf_counter() - began}
    place = out / FOLDER
    place.mkdir(exist_ok=True)
    folders.write_text(place / REPORT, json.dumps(report, indent=1))
    return report, judged


def history(run: Path) -> list[dict[str, float]]:
    """The lines of a run's log; none where the folder is that of a model alone."""
    return read_metrics(run / METRICS)


def progress_line(info: dict[str, Any]) -> str:
    """A report of progress in words."""
    if "score" in info:
        return f"{info['score']} after {info['seconds']:.0f} s"
    return f"training the extractor: step {info['step']:,} of {info['of']:,}"


def told(report: dict[str, Any]) -> str:
    """The report as a table, with what was judged above it."""
    head = f"{report['model']} in {report['run']}, by {report['data']}"
    if report["split"] == "train":
        head += ", which has no test split: by samples that it may have been trained on"
    return f"{head}\n{render(report)}"


def _named(data: str | None, notes: dict[str, Any], folder: Path) -> str:
    if data is None and "data" not in notes:
        raise ValueError(f"--data must name the set to judge by: {folder} does not tell what it was trained on.")
    return str(notes["data"] if data is None else data)


def _splits(data: str, root: Any, notes: dict[str, Any]) -> tuple[DataSet, DataSet | None]:
    """The training samples, drawn as for the run, and the test samples; None for these where the set has none."""
    preset = notes["preset"] if isinstance(notes.get("preset"), dict) else {}
    if data in TOYS:
        points = preset.get("points") if notes.get("data") == data else None
        return load_data(data, n=points), load_data(data, split="test")
    options = {"root": root, "size": preset.get("size") if Path(data).is_dir() else None}
    train = load_data(data, **options)
    try:
        return train, load_data(data, split="test", **options)
    except NoSplit:
        return train, None


def _extractor(name: str, train: DataSet, test: DataSet | None, progress: Progress) -> Extractor:
    images = len(train.shape) == 3
    # One class teaches a network nothing.
    labelled = images and test is not None and test.labels is not None and _classes(train) > 1
    if name == "pixels" or (name == "auto" and not (labelled and min(train.shape[1:]) >= 8)):
        return Pixels()
    if name not in EXTRACTORS:
        if not Path(name).is_file():
            raise ValueError(
                f"--extractor must be one of {', '.join(EXTRACTORS)} or the file of Inception's weights; got {name!r}, "
                "which is none of them. Correct it."
            )
        return Inception(name)
    if test is None:
        raise ValueError(f"--extractor lenet needs a test split, which {train.name} has not. Pass --extractor pixels.")
    return LeNet.trained(train, test, progress=progress)


def _classes(data: DataSet) -> int:
    return 0 if data.labels is None else len(np.unique(data.labels))


def _code_rows(judged: Judged) -> dict[str, dict[str, Any]]:
    """Whether codes that are decoded copy those of training samples: a blurred copy is no copy to pixels."""
    if judged.codes is None or judged.drawn is None or judged.training is None:
        return {}
    ratio, _ = memorisation(judged.drawn, judged.encode(judged.training), judged.codes)
    return {"memorisation_of_codes": {"value": ratio if math.isfinite(ratio) else None, "extractor": "codes"}}


def _critic_rows(found: CriticScore) -> dict[str, dict[str, Any]]:
    return {
        "critic_difference": {"value": found.difference, "extractor": "pixels", "slope": found.slope},
        "critic_w1": {"value": found.estimate, "extractor": "pixels", "reference": found.exact},
    }
