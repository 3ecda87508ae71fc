"""What holds for the blocks and the head of every network: one line per family."""

import copy

import pytest
import torch

from biotune.models import MAX_BLOCKS, PARTITIONS, load_model, reset_heads

NETWORKS = (
    "timm:resnet18",
    "timm:densenet121",
    "timm:vgg11",
    "timm:mobilenetv3_small_050",
    "timm:tf_efficientnet_lite0",
    "timm:convnext_atto",
    "timm:vit_tiny_patch16_224",
    "timm:swin_tiny_patch4_window7_224",
    "timm:regnetx_002",
    "timm:ghostnet_050",
    "timm:levit_128s",
    "timm:mixer_s32_224",
    "timm:deit_tiny_distilled_patch16_224",
    "timm:crossvit_tiny_240",
    "timm:edgenext_xx_small",
    "timm:mobilevit_xxs",
    "timm:repvgg_a0",
    "timm:coat_tiny",
    "timm:caformer_s18",
    "timm:selecsls42b",
    "timm:twins_svt_small",
    "torchvision:squeezenet1_1",
    "torchvision:mobilenet_v2",
    "torchvision:shufflenet_v2_x0_5",
    "torchvision:googlenet",
    "torchvision:mnasnet0_5",
    "torchvision:efficientnet_b0",
    "torchvision:vit_b_32",
)


@pytest.fixture(scope="module", params=NETWORKS)
def network(request):
    return load_model(request.param, 7, weights="random")


def tensors(model):
    return {**dict(model.named_parameters(remove_duplicate=False)), **dict(model.named_buffers(remove_duplicate=False))}


def first_calls(network):
    """Module name -> position of its first call, recorded independently of the package."""
    calls = []
    names = {module: name for name, module in network.model.named_modules()}
    hooks = [
        module.register_forward_hook(lambda module, inputs, output: calls.append(names[module])) for module in names
    ]
    size = network.preprocessing.image_size
    with torch.no_grad():
        network.model(torch.ones(1, 3, size, size))
    for hook in hooks:
        hook.remove()
    return {name: calls.index(name) for name in set(calls)}


class TestNetwork:
    def test_every_tensor_belongs_to_one_block(self, network):
        held = [
            [block.name for block in network.partition.blocks for prefix in block.prefixes if within(key, prefix)]
            for key in tensors(network.model)
        ]
        assert all(len(blocks) == 1 for blocks in held)

    def test_counts_add_up(self, network):
        counts = [block.num_parameters for block in network.partition.blocks]
        assert min(counts) > 0
        assert sum(counts) == sum(parameter.numel() for parameter in network.model.parameters())

    def test_the_head_is_last_and_the_classifier_alone(self, network):
        last = len(network.partition) - 1
        keys = [key for key in tensors(network.model) if network.partition.owner(key) == last]
        assert network.partition.names[-1] == "head"
        assert network.name in PARTITIONS or network.partition.blocks[-1].prefixes == network.heads
        assert all(key.startswith(tuple(f"{head}." for head in network.heads)) for key in keys)
        assert {network.model.get_submodule(head).weight.shape[0] for head in network.heads} == {7}

    def test_the_number_of_blocks(self, network):
        assert 3 <= len(network.partition) <= MAX_BLOCKS

    def test_names_are_short_and_distinct(self, network):
        names = network.partition.names
        assert len(set(names)) == len(names)
        assert max(map(len, names)) <= 60

    def test_blocks_stand_in_the_order_of_the_forward_pass(self, network):
        calls = first_calls(network)
        leaves = [key for key, module in network.model.named_modules() if not list(module.children())]
        owned = [(network.partition.owner(key), calls[key]) for key in leaves if key in calls and weighty(network, key)]
        firsts = [min(call for owner, call in owned if owner == index) for index in range(len(network.partition))]
        assert firsts == sorted(firsts)

    def test_the_state_holds_no_trace_of_the_recording(self, network):
        assert not any(module._forward_pre_hooks for module in network.model.modules())

    def test_reset_head_changes_the_head_alone(self, network):
        model = copy.deepcopy(network.model)
        before, generator = copy.deepcopy(model.state_dict()), torch.get_rng_state()
        weight = model.get_submodule(network.heads[-1]).weight
        reset_heads(model, network.heads, seed=1)
        first = weight.detach().clone()
        reset_heads(model, network.heads, seed=2)
        second = weight.detach().clone()
        reset_heads(model, network.heads, seed=1)
        assert torch.equal(weight, first)
        assert not torch.equal(first, second)
        assert torch.equal(torch.get_rng_state(), generator)
        after = model.state_dict()
        changed = {key for key in before if not torch.equal(before[key], after[key])}
        assert changed == {f"{head}.{key}" for head in network.heads for key in ("weight", "bias")}


def within(key, prefix):
    return key == prefix or key.startswith(f"{prefix}.")


def weighty(network, module):
    return any(parameter.dim() >= 2 for parameter in network.model.get_submodule(module).parameters())
