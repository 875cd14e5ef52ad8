import math

import torch

from attnpred.training.learner import total_norm


def test_the_norm_is_that_of_all_gradients_as_one_vector():
    torch.manual_seed(0)
    maps = torch.randn(4, 3, 5, 5).contiguous(memory_format=torch.channels_last)
    gradients = [torch.randn(7, 3), torch.randn(11), maps]
    expected = math.sqrt(sum(float(g.double().pow(2).sum()) for g in gradients))
    assert math.isclose(float(total_norm(gradients)), expected, rel_tol=1e-6)
    assert not torch.isfinite(total_norm([*gradients, torch.tensor([float("nan")])]))
