"""Modules of one's own: finding and replacing the head, automatic and given partitions, clear refusals."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.nn.utils.parametrizations import weight_norm

from backbones import Tied
from biotune.errors import InputError
from biotune.models import Backbone, forward_logits, load_backbone, partition_of


class Returning(nn.Module):
    """Returns its logits in a wrapper."""

    def __init__(self, wrap) -> None:
        super().__init__()
        self.wrap = wrap
        self.body = nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(4, 6)

    def forward(self, images):
        return self.wrap(self.head(self.body(images)))


class Averaged(nn.Module):
    """The mean of two classifiers; a third layer of the same width is called last and is none."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(12, 5)
        self.one, self.two = nn.Linear(5, 7), nn.Linear(5, 7)
        self.unread = nn.Linear(5, 7)

    def forward(self, images):
        features = self.body(images.flatten(1))
        logits = self.one(features) + self.two(features)
        self.unread(features)
        return logits


class Prototypes(nn.Module):
    """Logits from a bare matrix: there is no layer to replace."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(12, 5)
        self.prototypes = nn.Parameter(torch.ones(5, 4))

    def forward(self, images):
        return self.body(images.flatten(1)) @ self.prototypes


def flat(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), *layers)


class TestHead:
    def test_the_last_layer_of_the_right_width_is_replaced_in_a_copy(self):
        module = Tied()
        before = copy.deepcopy(module.state_dict())
        loaded = load_backbone(Backbone(module, image_size=16), 3)
        assert (loaded.name, loaded.heads, loaded.weights) == ("module:Tied", ("head",), "as given")
        assert loaded.model.head.weight.shape == (3, 8)
        assert module.head.weight.shape == (10, 8)
        assert forward_logits(loaded.model, torch.zeros(2, 3, 16, 16)).shape == (2, 3)
        assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())
        kept = {key: value for key, value in loaded.model.state_dict().items() if not key.startswith("head.")}
        assert all(torch.equal(before[key], value) for key, value in kept.items())

    def test_ties_survive_the_copy(self):
        model = load_backbone(Backbone(Tied(), image_size=16), 3).model
        assert model.two.weight is model.one.weight
        assert model.late_norm.running_mean is model.norm.running_mean

    def test_the_head_is_fresh_even_when_the_class_count_is_right(self):
        module = Tied()
        loaded = load_backbone(Backbone(module, image_size=16), 10)
        assert not torch.equal(loaded.model.head.weight, module.head.weight)

    def test_a_head_tied_to_the_body_is_untied(self):
        module = flat(nn.Linear(12, 12), nn.Linear(12, 12))
        module[2].weight = module[1].weight
        loaded = load_backbone(Backbone(module, image_size=2), 12)
        assert torch.equal(loaded.model[1].weight, module[1].weight)
        assert not torch.equal(loaded.model[2].weight, module[1].weight)

    def test_no_random_state_is_touched_and_the_head_is_always_the_same(self):
        module = Tied()
        before = torch.get_rng_state()
        heads = [load_backbone(Backbone(module, image_size=16), 4).model.head.weight for _ in range(2)]
        assert torch.equal(torch.get_rng_state(), before)
        assert torch.equal(*heads)

    @pytest.mark.parametrize("half", [torch.float16, torch.float64])
    def test_the_copy_is_in_single_precision(self, half):
        loaded = load_backbone(Backbone(Tied().to(half), image_size=16), 3)
        assert {parameter.dtype for parameter in loaded.model.parameters()} == {torch.float32}

    def test_a_named_head_in_a_sequential_is_replaced_at_its_place(self):
        module = flat(nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 5))
        loaded = load_backbone(Backbone(module, image_size=2, head="3"), 3)
        assert [getattr(layer, "out_features", None) for layer in loaded.model] == [None, 8, None, 3]

    def test_a_convolution_can_be_the_head(self):
        module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 6, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        assert load_backbone(Backbone(module, image_size=8), 3).model[1].weight.shape == (3, 4, 1, 1)

    def test_several_heads_are_all_replaced(self):
        loaded = load_backbone(Backbone(Averaged(), image_size=2, head=("one", "two")), 3)
        assert loaded.heads == ("one", "two")
        assert {loaded.partition.names[loaded.partition.owner(f"{head}.weight")] for head in loaded.heads} == {"head"}
        assert forward_logits(loaded.model, torch.zeros(1, 3, 2, 2)).shape == (1, 3)

    @pytest.mark.parametrize(
        "wrap",
        [lambda logits: (logits, 0), lambda logits: {"logits": logits}, lambda logits: logits],
        ids=["tuple", "mapping", "tensor"],
    )
    def test_wrapped_logits_are_found(self, wrap):
        loaded = load_backbone(Backbone(Returning(wrap), image_size=8), 3)
        assert forward_logits(loaded.model, torch.zeros(2, 3, 8, 8)).shape == (2, 3)

    @pytest.mark.parametrize(
        ("module", "options", "message"),
        [
            (Averaged(), {}, r"does not give 8 logits when its layer 'unread' has 8 outputs; say which layers"),
            (Averaged(), {"head": "one"}, r"does not give 8 logits when its layer 'one' has 8 outputs"),
            (
                Prototypes(),
                {},
                r"no plain linear .* layer of module:Prototypes gives its 4 logits, .* put a torch.nn.Linear in",
            ),
            (flat(nn.Linear(12, 5)), {"head": "fc"}, "'fc' is not a plain linear or convolutional layer that .* calls"),
            (flat(nn.Linear(12, 5)), {"head": "fc"}, "layers of that width are 1"),
            (Returning(lambda logits: [logits]), {}, "must return logits of shape .batch, classes.; it returned list"),
            (Returning(lambda logits: {"out": logits}), {}, "returned a mapping of 'out' without 'logits'"),
            (flat(weight_norm(nn.Linear(12, 5))), {}, r"weight or spectral norm, .*cannot be replaced"),
            (nn.Conv2d(1, 4, 1), {}, "its layer '' takes 1 channels where images have 3, so give the network a first"),
            (nn.Bilinear(2, 2, 2), {}, "forward must take a batch of images and nothing else"),
            (nn.Conv2d(3, 4, 1), {}, r"it returned shape \(1, 4, 2, 2\) for one image"),
            (nn.Module(), {}, "has no parameters"),
            (flat(nn.Linear(9, 5)), {}, r"takes no images of 2 x 2 pixels \(.*\); choose another image size"),
            (flat(nn.Linear(12, 5)), {}, "has no parameter before its classifier, so there is nothing to freeze"),
        ],
        ids=[
            "unread",
            "one of two",
            "matrix",
            "no such",
            "near",
            "list",
            "mapping",
            "norm",
            "gray",
            "two inputs",
            "map",
            "empty",
            "size",
            "head only",
        ],
    )
    def test_a_module_that_cannot_be_tuned_is_refused_in_one_sentence(self, module, options, message):
        with pytest.raises(InputError, match=message):
            load_backbone(Backbone(module, image_size=2, **options), 3)

    def test_what_is_no_module_is_refused(self):
        with pytest.raises(InputError, match="the network is 'resnet18', not a module; give a"):
            partition_of("resnet18", image_size=32)

    @pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
    def test_a_network_of_torchscript_is_refused(self):
        with pytest.raises(InputError, match="a network of TorchScript cannot be tuned; give the module"):
            partition_of(torch.jit.script(nn.Linear(2, 2)), image_size=32)

    @pytest.mark.parametrize("wrap", [torch.compile, nn.DataParallel])
    def test_the_network_inside_a_wrapper_is_taken(self, wrap):
        backbone = Backbone(wrap(Tied()), image_size=16)
        assert backbone.name == "module:Tied"
        assert partition_of(backbone) == partition_of(Tied(), image_size=16)

    @pytest.mark.parametrize("use", [partition_of, lambda backbone: load_backbone(backbone, 3)])
    def test_a_lazy_module_stays_lazy(self, use):
        module = nn.Sequential(nn.LazyConv2d(4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LazyLinear(5))
        use(Backbone(module, image_size=8))
        assert all(map(is_lazy, module.parameters()))

    def test_a_module_without_a_forward_is_refused(self):
        class NoForward(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(3, 3)

        with pytest.raises(InputError, match=r"module:NoForward takes no images of 8 x 8 pixels \(.*forward"):
            load_backbone(Backbone(NoForward(), image_size=8), 3)

    def test_a_module_that_cannot_be_copied_is_refused(self):
        module = flat(nn.Linear(12, 5))
        module.features = module[1].weight * 2
        with pytest.raises(InputError, match="module:Sequential cannot be copied"):
            load_backbone(Backbone(module, image_size=2), 3)


class TestPreprocessing:
    def test_an_input_size_must_be_known(self):
        with pytest.raises(InputError, match=r"input size of module:Tied is unknown; give it: biotune.Backbone\("):
            load_backbone(Backbone(Tied()), 3)

    def test_it_is_taken_from_timms_configuration(self):
        module = Tied()
        module.default_cfg = {"input_size": (3, 32, 32), "mean": (0.5, 0.4, 0.3), "std": [0.1, 0.2, 0.3]}
        found = Backbone(module).preprocessing
        assert (found.image_size, found.mean, found.std) == (32, (0.5, 0.4, 0.3), (0.1, 0.2, 0.3))

    def test_what_is_given_wins(self):
        module = Tied()
        module.pretrained_cfg = {"input_size": (3, 32, 32), "mean": (0.5, 0.4, 0.3), "interpolation": "bilinear"}
        found = Backbone(module, image_size=16, mean=(0.0, 0.0, 0.0)).preprocessing
        assert (found.image_size, found.mean, found.interpolation) == (16, (0.0, 0.0, 0.0), "bilinear")


@pytest.mark.parametrize("size", [(32, 64), 0, 20000])
def test_the_size_is_one_side(size):
    with pytest.raises(InputError, match=r"give one side of a square in pixels, a whole number from 1 to 4096"):
        Backbone(Tied(), image_size=size)


BLOCKS = {"first": "stem norm late_norm token scale", "middle": ["one", "two"], "last": "head"}


class TestPartition:
    def test_the_automatic_one_leaves_the_module_alone(self):
        module = Tied().train()
        partition = partition_of(module, image_size=16)
        assert module.training
        assert partition.names[-1] == "head"
        assert partition.owner("one.weight") == partition.owner("two.weight")
        counts = [block.num_parameters for block in partition.blocks]
        assert sum(counts) == sum(parameter.numel() for parameter in module.parameters())

    def test_by_layer(self):
        partition = partition_of(Tied(), image_size=16, granularity="layer")
        assert partition.names == ("stem", "one", "head")
        assert partition.owner("norm.weight") == 0
        assert partition.owner("two.weight") == partition.owner("two.bias") == 1
        assert partition.owner("late_norm.bias") == partition.owner("late_norm.running_mean") == 0

    @pytest.mark.parametrize("layer", [weight_norm(nn.Linear(12, 8)), nn.GRUCell(12, 8), nn.LSTM(12, 8)])
    def test_every_kind_of_layer_is_a_unit(self, layer):
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.first, self.layer, self.head = nn.Linear(12, 12), layer, nn.Linear(8, 5)

            def forward(self, images):
                found = self.layer(self.first(images.flatten(1)))
                return self.head(found[0] if isinstance(found, tuple) else found)

        assert partition_of(Net(), image_size=2, granularity="layer").names == ("first", "layer", "head")

    def test_a_list_of_parameters_is_a_unit(self):
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.first, self.head = nn.Linear(12, 8), nn.Linear(8, 5)
                self.matrices = nn.ParameterList([torch.eye(8), torch.eye(8)])

            def forward(self, images):
                return self.head(self.first(images.flatten(1)) @ self.matrices[0] @ self.matrices[1])

        assert set(partition_of(Net(), image_size=2, granularity="layer").names) == {"first", "matrices", "head"}

    def test_ones_own_blocks(self):
        partition = partition_of(Tied(), image_size=16, blocks=BLOCKS)
        assert partition.names == ("first", "middle", "last")
        assert [block.num_parameters for block in partition.blocks] == [224 + 16 + 16 + 8, 576 + 8 + 8, 90]
        assert partition.owner("late_norm.running_var") == 0

    def test_patterns_and_unnamed_buffers(self):
        partition = partition_of(
            Tied(), image_size=16, blocks={"a": "stem *norm token", "b": "[ot][nw][eo]", "c": "he?d"}
        )
        assert [block.num_parameters for block in partition.blocks] == [264, 592, 90]
        assert partition.owner("scale") == 0

    def test_the_same_blocks_hold_in_a_loaded_network(self):
        loaded = load_backbone(Backbone(Tied(), image_size=16, blocks=BLOCKS), 3)
        assert loaded.partition.names == ("first", "middle", "last")
        assert loaded.partition.fingerprint == partition_of(Tied(), image_size=16, blocks=BLOCKS).fingerprint

    def test_it_is_that_of_the_tuning_where_the_head_is_tied(self):
        module = flat(nn.Linear(12, 12), nn.Linear(12, 12))
        module[2].weight = module[1].weight
        partition = partition_of(module, image_size=2)
        assert partition == load_backbone(Backbone(module, image_size=2), 12).partition
        assert partition.blocks[-1].num_parameters == 12 * 12 + 12

    def test_what_tuning_refuses_has_no_partition(self):
        with pytest.raises(InputError, match="does not give 8 logits"):
            partition_of(Averaged(), image_size=2)

    @pytest.mark.parametrize(
        ("blocks", "message"),
        [
            ([("first", "stem")], r"blocks is \[\('first', 'stem'\)\]; give a mapping of block name to names"),
            ({"a": "stem norm late_norm", "b": "one", "c": "head"}, "2 left out: 'token' and 'two.bias'"),
            (
                {**BLOCKS, "first": "stem norm late_norm token one.bias"},
                r"1 claimed twice: 'one.bias' \(first and middle\)",
            ),
            ({**BLOCKS, "first": "stem norm late_norm token two", "middle": "one"}, r"2 claimed twice: 'one.weight'"),
            (
                {**BLOCKS, "first": "stem norm token", "middle": "one two late_norm"},
                r"2 claimed twice: 'norm.running_mean'",
            ),
            ({**BLOCKS, "middle": "one two nix"}, "block 'middle': nothing in this network is called 'nix'"),
            ({"last": "head", "rest": "stem norm token one two late_norm"}, "'head.weight' is in block 'last', but it"),
            ({"a": "stem", "b": "one stem", "c": "head"}, "left out: .*; 2 claimed twice: 'stem.weight'"),
        ],
    )
    def test_blocks_that_are_not_exact_are_refused(self, blocks, message):
        with pytest.raises(InputError, match=message):
            partition_of(Tied(), image_size=16, blocks=blocks)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"granularity": "stage"}, "granularity 'stage' is unknown; choose one of block, layer"),
            ({"granularity": "layer", "blocks": BLOCKS}, "give either blocks or granularity='layer'"),
        ],
    )
    def test_bad_options_are_refused(self, options, message):
        with pytest.raises(InputError, match=message):
            partition_of(Tied(), image_size=16, **options)
