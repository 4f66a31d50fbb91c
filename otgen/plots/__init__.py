"""Pictures of plans, power cells, samples, codes and training; the only package that imports matplotlib."""

from .cells import plot_cells as plot_cells
from .cells import plot_singular_set as plot_singular_set
from .codes import save_pair_plot as save_pair_plot
from .curves import save_critic as save_critic
from .curves import save_curves as save_curves
from .curves import save_gap as save_gap
from .samples import save_cloud as save_cloud
from .samples import save_grid as save_grid
from .samples import save_interpolations as save_interpolations
from .samples import save_pairs as save_pairs
from .samples import save_ranked as save_ranked
from .samples import save_scores as save_scores
from .style import label_heights as label_heights
from .transport import save_interpolation as save_interpolation
from .transport import save_plans as save_plans
from .transport import save_timings as save_timings
