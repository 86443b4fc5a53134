"""Real steps, watched: what they allocate, put through the same allocator model as a prediction."""

from __future__ import annotations

from typing import Any

from ..interrupts import held_back
from ..task.task import Task
from ..training.trainer import trainer
from .batch_law import Measure
from .rehearsal.kernels import cuda_workspaces
from .rehearsal.recorder import Recorder
from .rehearsal.recording import Recording
from .rehearsal.replica import fuse_as_on_cuda
from .replay.tape import Parts, Tape, parts_of, replay
from .samples import Samples

STEPS = 2


def real_peak(
    task: Task,
    k: int,
    *,
    image_size: int | None = None,
    sequence_length: int | None = None,
    samples: Samples | None = None,
) -> tuple[Parts, int]:
    """What two real training steps at batch size ``k`` would have a CUDA card reserve.

    The steps run where the task's model is; everything is put back afterwards.

    Returns:
        (name, bytes) in the order of ``PARTS``, and their sum.
    Raises:
        Exception: Whatever a step raises, memory errors included.
    """
    batch = (samples or Samples(task)).real_batch_of(k, image_size, sequence_length)
    tape = Tape.fixed(record_steps(task, batch))
    moment = replay(tape, k)
    parts = parts_of(tape.recording, moment)
    return parts, sum(size for _, size in parts)


@held_back()
def record_steps(task: Task, batch: Any) -> Recording:
    """Every allocation of two real training steps on ``batch``, with the workspaces a CUDA card would add."""
    on_batch = task.with_(data=[batch], collate_fn=None)
    recorder = Recorder(task.device.type, None if task.device.type == "cuda" else cuda_workspaces)
    with trainer(on_batch) as made:
        models: dict[str, Any] = {str(i or ""): m for i, m in enumerate(made.workpiece.models)}
        if isinstance(made.workpiece.model, dict):
            models = dict(made.workpiece.model)
        with recorder.following(models, made.workpiece.optimizers), recorder:
            recorder.see([list(m.state_dict(keep_vars=True).values()) for m in models.values()], "parameters")
            recorder.see(Measure.of(batch).leaves, "inputs")
            if made.workpiece.is_copy:
                fuse_as_on_cuda(made.workpiece.optimizers)
            for _ in range(STEPS):
                recorder.begin_step()
                made.step(task.lr)
            recorder.stop()
    return recorder.recording
