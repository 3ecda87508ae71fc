"""A multi-layer perceptron of images: the smallest network that the sources of refinement train."""

from torch import Tensor, nn

NATIVE_SIZE = 32
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
"""Of the pixels of CIFAR-10, which the sources normalise by."""

HIDDEN = 128


class Mlp(nn.Module):
    """All pixels of an image, a layer of 128 with ReLU, the classifier.

    Args:
        num_classes: outputs.
        image_size: side of the square input in pixels, on which the first layer depends.
    """

    def __init__(self, num_classes: int, image_size: int = NATIVE_SIZE) -> None:
        super().__init__()
        self.fc1 = nn.Linear(3 * image_size**2, HIDDEN)
        self.relu = nn.ReLU()
        self.fc2 = nn.Linear(HIDDEN, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, shape (batch, classes), of images, (batch, 3, image_size, image_size)."""
        logits: Tensor = self.fc2(self.relu(self.fc1(images.flatten(1))))
        return logits
