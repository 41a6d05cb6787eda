"""The mean of weights over steps, a second time and slowly."""

import torch


def slow_mean(values, decay):
    """Weigh every step's number by what later steps left of it."""
    shares = [min(decay, (step - 1) / (step + 8)) for step in range(1, len(values) + 1)]
    total = torch.zeros_like(values[0])
    for place, value in enumerate(values):
        left = 1 - shares[place]
        for later in shares[place + 1 :]:
            left *= later
        total += left * value
    return total
