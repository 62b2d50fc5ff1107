"""What a run writes down: `metrics.jsonl` always, Weights & Biases where it is asked for.

One JSON object per line: `kind` (train, val, ...), `iteration`, `epoch`, `time` (Unix seconds), then numbers.
A resumed run drops what was written after the iteration it continues from, so that the file reads as if
the run had never stopped, and goes on in the same Weights & Biases run.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import time
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from mxnetseg.data.palettes import default_palette
from mxnetseg.errors import ConfigError, MxnetsegError
from mxnetseg.opening import only_files
from mxnetseg.report.visualize import (
    colourize,
    contact_sheet,
    error_map,
    overlay,
    save_picture,
    visible,
)
from mxnetseg.run_files import METRICS, atomic_file

CONFUSION = "confusion.json"
EXAMPLES = "examples.jpg"
WANDB_ID = "wandb_run.json"


class Tracker:
    """Writes the numbers and pictures of one run.

    Parameters
    ----------
    run_dir : str
        Made if it is missing.
    recipe : mapping, optional
        Plain values (`recipe.model_dump(mode="json")` or the like), shown as the configuration in wandb.
    wandb_project : str, optional
        Logs to this project too. `WANDB_MODE=offline` keeps it on this machine until `wandb sync`.
    resume_after : (int, int), optional
        Continue the run in `run_dir` after this iteration; the second is the iteration of the last validation
        that the run's state knows of. None starts it anew.
    classes, palette : the data set's `scored_classes` and `scored_palette`, for scores and pictures
    """

    def __init__(
        self,
        run_dir: str,
        recipe: Optional[Mapping[str, Any]] = None,
        wandb_project: Optional[str] = None,
        resume_after: Optional[Tuple[int, int]] = None,
        classes: Sequence[str] = (),
        palette: Optional[np.ndarray] = None,
    ):
        self.run_dir = run_dir
        self.classes = list(classes)
        self.palette = None if palette is None else np.asarray(palette, np.uint8).reshape(-1, 3)
        self._path = os.path.join(run_dir, METRICS)
        self._wandb = None
        self._file = None
        try:
            os.makedirs(run_dir, exist_ok=True)
            if resume_after is None:
                _remove(self._path, os.path.join(run_dir, CONFUSION), os.path.join(run_dir, EXAMPLES))
            else:
                _drop_after(self._path, *resume_after)
            self._file = open(self._path, "a", encoding="utf-8")
        except OSError as error:
            raise _not_writable(self._path, error) from error
        if wandb_project:
            fresh = resume_after is None
            self._wandb = _start_wandb(wandb_project, run_dir, recipe, fresh)

    def log(
        self, step: int, values: Mapping[str, Any], kind: str = "train", epoch: Optional[float] = None
    ) -> None:
        """Append one line of numbers for iteration `step`; not-finite ones are written as null.

        Values are numbers, None, or lists and mappings of them. wandb gets the numbers as `kind/name`.
        """
        line: Dict[str, Any] = {"kind": kind, "iteration": int(step)}
        if epoch is not None:
            line["epoch"] = _plain(epoch)
        line["time"] = round(time.time(), 3)
        line.update({key: _plain(value) for key, value in values.items()})
        try:
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()
        except OSError as error:
            raise _not_writable(self._path, error) from error
        if self._wandb is not None:
            self._send(step, {f"{kind}/{k}": v for k, v in _numbers(line)}, epoch)

    def log_scores(
        self, step: int, scores: Mapping[str, Any], kind: str = "val", epoch: Optional[float] = None
    ) -> None:
        """Log what `evaluate` returned: means and per-class IoU as a line, and the confusion matrix."""
        classes = list(scores.get("classes") or self.classes)
        names = ("miou", "pixel_accuracy", "mean_accuracy", "frequency_weighted_iou", "images_per_second")
        line = {name: scores[name] for name in names if name in scores}
        line["class_iou"] = dict(zip(classes, scores["class_iou"]))
        line["protocol"] = scores.get("protocol")
        self.log(step, line, kind=kind, epoch=epoch)
        self.confusion(step, scores["confusion"], classes, kind=kind)

    def log_images(self, step: int, samples: Sequence[tuple], ignore_index: int) -> None:
        """Keep pictures (name, image, label or None, prediction) as the examples of the run.

        `examples.jpg` in the run's folder shows the latest; wandb gets masks that can be switched on and off.
        """
        if not samples:
            return
        palette = self._palette_for(samples)
        rows = [(name, example_row(i, la, p, palette, ignore_index)) for name, i, la, p in samples]
        titles = ["image", "label", "prediction", "errors"]
        titles = titles if all(len(row) == 4 for _, row in rows) else ["image", "prediction", "overlay"]
        sheet = contact_sheet(rows, titles, self.classes, palette, note=f"iteration {step}")
        save_picture(os.path.join(self.run_dir, EXAMPLES), sheet)
        if self._wandb is not None:
            self._send(step, {"predictions": [self._masked(*s, ignore_index) for s in samples]})

    def confusion(
        self, step: int, matrix: Sequence[Sequence[int]], classes: Sequence[str] = (), kind: str = "val"
    ) -> None:
        """Keep the latest confusion matrix (rows labels, columns predictions; pixels) in `confusion.json`."""
        names = list(classes or self.classes) or [str(i) for i in range(len(matrix))]
        counts = np.asarray(matrix).tolist()
        write_json(
            os.path.join(self.run_dir, CONFUSION),
            {"iteration": int(step), "kind": kind, "classes": names, "matrix": counts},
        )
        if self._wandb is not None:
            import wandb

            # As a table of pairs: wandb's own plot wants one row for every single pixel.
            pairs = [[names[r], names[c], counts[r][c]] for r in range(len(names)) for c in range(len(names))]
            table = wandb.Table(columns=["Actual", "Predicted", "nPredictions"], data=pairs)
            fields = {"Actual": "Actual", "Predicted": "Predicted", "nPredictions": "nPredictions"}
            plot = wandb.plot_table(
                "wandb/confusion_matrix/v1", table, fields, {"title": "Confusion matrix (pixels)"}
            )
            self._send(step, {f"{kind}/confusion_matrix": plot})

    def finish(self, summary: Optional[Mapping[str, Any]] = None, exit_code: int = 0) -> None:
        """Close files and wandb run; `summary` goes to the run's summary there. Safe to call twice."""
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._wandb is not None:
            for key, value in (summary or {}).items():
                self._wandb.summary[key] = _plain(value)
            self._wandb.finish(exit_code=exit_code)
            self._wandb = None

    def __enter__(self) -> Tracker:
        return self

    def __exit__(self, kind, error, trace) -> None:
        self.finish(exit_code=0 if error is None else 1)

    def _send(self, step: int, values: Mapping[str, Any], epoch: Optional[float] = None) -> None:
        # Our own step: wandb's counter cannot go back, but a resumed run repeats iterations.
        extra = {} if epoch is None else {"epoch": epoch}
        self._wandb.log({"iteration": int(step), **extra, **values})

    def _masked(self, name, image, label, prediction, ignore_index):
        import wandb

        labels = dict(enumerate(self.classes or map(str, range(int(np.max(prediction)) + 1))))
        masks = {"prediction": {"mask_data": np.asarray(prediction), "class_labels": labels}}
        if label is not None:
            masks["label"] = {
                "mask_data": np.asarray(label),
                "class_labels": {**labels, ignore_index: "ignored"},
            }
        return wandb.Image(visible(image), caption=name, masks=masks)

    def _palette_for(self, samples) -> np.ndarray:
        if self.palette is not None and len(self.palette) >= len(self.classes):
            return self.palette
        return default_palette(len(self.classes) or max(int(np.max(s[3])) for s in samples) + 1)


def example_row(image, label, prediction, palette, ignore_index) -> List[np.ndarray]:
    """Pictures of one example: image, label, overlay, errors; without a label image, colours, overlay."""
    image = visible(image)
    tinted = overlay(image, prediction, palette)
    if label is None:
        return [image, colourize(prediction, palette), tinted]
    return [image, colourize(label, palette), tinted, error_map(prediction, label, ignore_index, image)]


def read_metrics(path: str) -> List[Dict[str, Any]]:
    """The lines of a `metrics.jsonl`; a last line that was cut short by a kill is left out.

    Raises MxnetsegError for a file that is not there or holds something else.
    """
    try:
        with open(path, encoding="utf-8", opener=only_files) as handle:
            lines = handle.read().split("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not in UTF-8"
        raise MxnetsegError(f"{path}: cannot be read: {reason}; move it away, or restore it") from error
    records = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            if not isinstance(record, dict):
                raise ValueError("not an object")
        except ValueError:
            if number == len(lines):  # no newline after it: half written
                break
            raise MxnetsegError(f"{path}, line {number}: not a JSON object") from None
        records.append(record)
    return records


def write_json(path: str, value: Any) -> None:
    """Write JSON that appears whole or not at all; CheckpointError if it cannot."""
    with atomic_file(path) as out:
        out.write(json.dumps(value).encode() + b"\n")


def _drop_after(path: str, iteration: int, validated: int) -> None:
    """Leave out what a resumed run will write again: later lines, and a validation unknown to its state."""
    if not os.path.exists(path):
        return

    def lasts(record: Dict[str, Any]) -> bool:
        limit = validated if record.get("kind") == "val" else iteration
        return record.get("iteration", 0) <= limit

    kept = [record for record in read_metrics(path) if lasts(record)]
    with atomic_file(path) as out:
        out.writelines(json.dumps(record).encode() + b"\n" for record in kept)


def _start_wandb(project, run_dir, recipe, fresh):
    try:
        import wandb
    except ImportError:
        raise ConfigError(
            "Weights & Biases needs the package wandb: pip install wandb, or train without it"
        ) from None
    id_path = os.path.join(run_dir, WANDB_ID)
    run_id = None
    if not fresh and os.path.exists(id_path):
        with open(id_path, encoding="utf-8") as handle:
            run_id = json.load(handle).get("id")
    run_id = run_id or secrets.token_hex(4)
    # Its service is a program of its own, which takes longer than wandb's 30 s to start from a busy disk.
    os.environ.setdefault("WANDB__SERVICE_WAIT", "300")
    settings = wandb.Settings(console="off", disable_code=True, quiet=True)
    try:
        run = wandb.init(
            project=project,
            id=run_id,
            name=os.path.basename(os.path.abspath(run_dir)),
            dir=run_dir,
            config=dict(recipe or {}),
            resume="allow",
            settings=settings,
        )
    except Exception as error:
        reason = str(error).strip().split("\n")[0]
        raise ConfigError(
            f"wandb did not start: {reason}: run `wandb login`, or set WANDB_MODE=offline"
        ) from error
    write_json(id_path, {"id": run.id, "project": project})
    run.define_metric("iteration")
    run.define_metric("*", step_metric="iteration")
    return run


def _numbers(record: Mapping[str, Any], prefix: str = ""):
    for key, value in record.items():
        if key in ("kind", "iteration", "epoch", "time") and not prefix:
            continue
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{prefix}{key}/")
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            yield prefix + key, value


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if hasattr(value, "asnumpy"):
        value = value.asnumpy()
    if isinstance(value, (np.ndarray, np.generic)):
        return _plain(value.tolist() if value.size != 1 else value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _remove(*paths: str) -> None:
    for path in paths:
        if os.path.exists(path):
            os.remove(path)


def _not_writable(path: str, error: OSError) -> MxnetsegError:
    return MxnetsegError(
        f"{path}: cannot be written ({error.strerror or error}): "
        f"free some space, or give another output folder"
    )
