"""Whether a weight is still as it was first drawn."""


def default_start(parameter):
    """Tell whether a weight still has the spread of a usual random start.

    Uniform with a sharp edge, or normal, with the deviations of torch's default,
    Kaiming's and Xavier's initialisation.
    """
    if parameter.ndim < 2 or parameter.numel() < 64:
        return False
    values = parameter.detach().double()
    field = values[0, 0].numel()
    fans = [values.shape[1] * field, values.shape[0] * field]
    variances = [c / fan for fan in fans for c in (1 / 3, 1, 2)]
    variances += [2 / sum(fans), 0.02**2, 0.01**2]
    top, deviation = values.abs().max().item(), values.std().item()
    slack = 0.02 + 3 / (2 * values.numel()) ** 0.5
    peak = ((values - values.mean()) / (deviation + 1e-30)).pow(4).mean().item()
    for spread in (v**0.5 for v in variances):
        if abs(deviation / spread - 1) > slack:
            continue
        edge = 3**0.5 * spread
        bell = values.numel() >= 256 and abs(peak - 3) < 15 * slack
        if 0.9 * edge < top <= 1.0001 * edge or bell:
            return True
    return False
