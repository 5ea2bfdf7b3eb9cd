"""Synthetic radiographs with known ground truth: deterministic by seed.

`draw` makes schematic phantoms (PhantomParameters), which golden vectors, templates and the demonstration rest on: what they look like
does not change. `draw_film` makes knee films true to size (FilmParameters), and `cohort` made-up patients with such films.
"""

from strnet_core.phantom.drawing import draw
from strnet_core.phantom.film import draw_film
from strnet_core.phantom.film_parameters import FilmParameters, with_density
from strnet_core.phantom.parameters import MAX_TILT, MAX_VALUE, PhantomParameters, Side, View

__all__ = ["MAX_TILT", "MAX_VALUE", "FilmParameters", "PhantomParameters", "Side", "View", "draw", "draw_film", "with_density"]
