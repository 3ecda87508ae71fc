"""What the papers print, for the tables of the full scale (BioTune, Table I to III; ResNet-50).

Accuracy in per cent, mean of three runs.
"""

from collections.abc import Mapping

FULL: Mapping[str, float] = {
    "mnist": 98.96, "usps": 97.05, "svhn": 95.56, "cifar10": 95.65, "stl10": 97.33, "flowers102": 85.33,
    "aircraft": 58.68, "dtd": 68.03, "isic2020": 78.91,
}  # fmt: skip
"""Full fine-tuning."""

BIOTUNE: Mapping[str, float] = {
    "mnist": 99.13, "usps": 97.57, "svhn": 95.85, "cifar10": 96.09, "stl10": 97.50, "flowers102": 91.68,
    "aircraft": 64.40, "dtd": 69.27, "isic2020": 82.90,
}  # fmt: skip
"""BioTune."""

TRAINED: Mapping[str, float] = {
    "mnist": 29.97, "usps": 36.86, "svhn": 100.0, "cifar10": 100.0, "stl10": 64.93, "flowers102": 99.12,
    "aircraft": 99.96, "dtd": 64.89, "isic2020": 29.93,
}  # fmt: skip
"""Trained share of the parameters, in per cent. Five of these are not to be had from any choice of the six blocks."""

SHARES: Mapping[str, float] = {
    "10 % of the data": 90.46, "20 % of the data": 90.34, "25 % of the data": 90.53, "50 % of the data": 90.95,
    "biotune": 91.1,
}  # fmt: skip
"""Accuracy on Flowers-102 by the share of the training images in each generation; ``biotune`` is all of them."""
