"""Data sets for the models: toys whose density is known, digits, MNIST and its kin, the user's own files."""

from . import toys as toys
from .arrays_file import from_array as from_array
from .catalogue import load as load
from .sources import DataSet as DataSet
from .sources import NoSplit as NoSplit
