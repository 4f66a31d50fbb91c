"""What all tests of this folder share."""

from torch_threads import one_thread as one_thread
