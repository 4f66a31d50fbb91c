"""Training: one loop for every model, with its options, checkpoints and logs."""

from .checkpoints import load as load
from .logs import progress_line as progress_line
from .logs import read_metrics as read_metrics
from .loop import History as History
from .loop import Stop as Stop
from .loop import train as train
from .options import TrainOptions as TrainOptions
