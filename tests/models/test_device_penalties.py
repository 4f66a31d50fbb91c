"""Models whose codes are on a GPU: penalties and maps are worked out there, with the host's values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from otgen_kernels.cuda import kernel_sum, soft


@pytest.fixture
def torch(cuda_tensors):
    return cuda_tensors.torch


@pytest.mark.parametrize(("penalty", "place"), [("mmd", (kernel_sum, "kernel_sum")), ("sinkhorn", (soft, "SoftPairs"))])
def test_the_penalty_runs_where_the_codes_are(torch, cuda_tensors, monkeypatch, penalty, place):
    from otgen.models import WAE

    def step() -> tuple[float, Any]:
        torch.manual_seed(0)
        model = WAE((3,), 2, penalty=penalty, width=8).to(cuda_tensors.device)
        x = torch.linspace(-1.0, 1.0, 60).reshape(20, 3).to(cuda_tensors.device)
        generator = torch.Generator(cuda_tensors.device).manual_seed(1)
        loss = model.losses(x, generator=generator)["autoencoder"]
        loss.backward()
        gradient = next(model.encoder.parameters()).grad
        assert gradient is not None
        return float(loss), gradient.cpu()

    asked, whole = [], getattr(*place)
    monkeypatch.setattr(*place, lambda *a, **k: asked.append(1) or whole(*a, **k))
    loss, gradient = step()
    assert asked
    monkeypatch.undo()
    if cuda_tensors.device == "cpu":  # now the same tensors are the host's
        wanted, other = step()
        assert loss == pytest.approx(wanted, rel=1e-4)
        np.testing.assert_allclose(gradient, other, rtol=1e-3, atol=1e-6)


def test_the_map_of_an_ae_ot_is_fitted_beside_its_autoencoder(torch, cuda_tensors, cupy):
    from otgen.models import AE, AEOT

    model = AEOT(AE((3,), 2, width=8).to(cuda_tensors.device), theta=1.0, method="monte_carlo", tol=0.05)
    data = torch.from_numpy(np.random.default_rng(0).normal(size=(12, 3))).float()
    model.fit_map(data)
    assert model.map.converged_ and isinstance(model.map.heights_, torch.Tensor)
    sample = model.sample(5, generator=torch.Generator(cuda_tensors.device).manual_seed(0))
    assert sample.shape == (5, 3) and sample.isfinite().all()
