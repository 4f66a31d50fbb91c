"""Random numbers by their place in a stream: the published cipher, any shape of draws, laws, states."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

import naive_philox
from otgen_kernels import random_stream
from otgen_kernels.cuda.philox import Philox


def test_the_definition_has_the_published_answers() -> None:
    # kat_vectors of Random123: philox4x32 10.
    assert naive_philox.cipher((0, 0, 0, 0), (0, 0)) == (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)
    ones = 0xFFFFFFFF
    assert naive_philox.cipher((ones, ones, ones, ones), (ones, ones)) == (
        0x408F276D,
        0x41C83B0E,
        0xA20BC7C6,
        0x6D5451FD,
    )
    pi = (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344)
    assert naive_philox.cipher(pi, (0xA4093822, 0x299F31D0)) == (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)


@pytest.mark.parametrize("first", [0, 1, 2**32 - 3, 2**33 - 2, 2**40 + 1])
def test_numbers_are_those_of_their_places(cupy, first) -> None:
    stream = Philox([3, 4])
    for count in (1, 2, 7):
        places = range(first, first + count)
        stream.position = first
        found = cupy.asnumpy(stream.random(count))
        assert found.tolist() == [naive_philox.uniform(place, stream.key) for place in places]
        assert stream.position == first + count
        stream.position = first
        found = cupy.asnumpy(stream.standard_normal((count, 1)))[:, 0]
        np.testing.assert_allclose(found, [naive_philox.normal(place, stream.key) for place in places], rtol=1e-12)


def test_draws_of_any_size_follow_one_another(cupy) -> None:
    whole = cupy.asnumpy(Philox(0).random(1000))
    stream = Philox(0)
    parts = [cupy.asnumpy(stream.random(size)) for size in (1, 2, 300, 7, 0, 689, 1)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert (whole != cupy.asnumpy(Philox(1).random(1000))).all()


def test_laws(cupy) -> None:
    u, z = cupy.asnumpy(Philox(5).random((5000, 2))), cupy.asnumpy(Philox(6).standard_normal((5000, 2)))
    assert u.dtype == np.float64 and ((u >= 0) & (u < 1)).all()
    for column in (0, 1):
        assert stats.kstest(u[:, column], "uniform").pvalue > 1e-3
        assert stats.kstest(z[:, column], "norm").pvalue > 1e-3
    assert abs(np.corrcoef(u.T)[0, 1]) < 0.05 and abs(np.corrcoef(z.T)[0, 1]) < 0.05


def test_a_state_goes_on(cupy) -> None:
    stream = random_stream([7, 8], cupy.zeros(1))
    stream.random(5)
    state = json.loads(json.dumps(stream.bit_generator.state))
    wanted, again = cupy.asnumpy(stream.random(9)), random_stream(0, cupy.zeros(1))
    again.bit_generator.state = state
    np.testing.assert_array_equal(cupy.asnumpy(again.random(9)), wanted)


def test_the_stream_of_host_arrays_is_numpys() -> None:
    assert random_stream([1, 2], np.zeros(1)).random() == np.random.default_rng([1, 2]).random()
