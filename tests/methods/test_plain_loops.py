"""Full fine-tuning, linear probing and L2-SP against loops that use nothing of this package but the order of images."""

import math

import pytest
import torch
from torch import nn

from biotune.training.imbalance import shuffled
from biotune.training.trainer import batches
from small_network import CONFIG, Case

EPOCHS, SEED, ALPHA, BETA = 4, 0, 0.1, 0.03


def plain_loop(case: Case, method: str) -> nn.Module:
    """Fine-tune as one does by hand: Adam, cosine over the epochs, cross-entropy."""
    model, data = case.model, case.data
    start = {name: p.detach().clone() for name, p in model.named_parameters() if not name.startswith("classifier")}
    head_only = method == "linear_probe"
    trained = model.classifier.parameters() if head_only else model.parameters()
    optimizer = torch.optim.Adam(trained, lr=0.01, fused=True)
    torch.manual_seed(SEED)
    for epoch in range(EPOCHS):
        model.train()
        if head_only:
            for frozen in (model.stem, model.middle, model.norm, model.hidden):
                frozen.eval()
        optimizer.param_groups[0]["lr"] = 0.01 * 0.5 * (1 + math.cos(math.pi * epoch / EPOCHS))
        for part in batches(shuffled(data.train, SEED, epoch), 6):
            logits = model(data.source.batch(torch.from_numpy(part)))
            loss = nn.functional.cross_entropy(logits, torch.from_numpy(data.labels[part]))
            if method == "l2_sp":
                for name, parameter in model.named_parameters():
                    if name in start and parameter.ndim > 1:
                        loss = loss + ALPHA / 2 * ((parameter - start[name]) ** 2).sum()
                loss = loss + BETA / 2 * (model.classifier.weight**2).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model


@pytest.mark.parametrize(
    ("method", "text", "tolerance"),
    [("full", "full", 0.0), ("linear_probe", "linear_probe", 0.0), ("l2_sp", f"l2_sp:alpha={ALPHA},beta={BETA}", 1e-6)],
)
def test_a_method_is_its_plain_loop(method, text, tolerance):
    torch.set_num_threads(1)
    expected = plain_loop(Case(), method).state_dict()
    case = Case()
    trained = case.fit(text, CONFIG.model_copy(update={"patience": 9}), epochs=EPOCHS, keep_best=False)
    assert len(trained.curve) == EPOCHS
    torch.testing.assert_close(case.model.state_dict(), expected, rtol=tolerance, atol=tolerance)
    assert not torch.equal(expected["classifier.weight"], Case().model.classifier.weight)
