"""Networks that vote: the mean of their probabilities, and the files of all but the exported one."""

import pytest
import safetensors.torch
import torch
from torch import nn

from biotune.errors import DamagedStateError
from biotune.models.vote import Vote, is_member, load_member, member_content


class Constant(nn.Module):
    """Gives every image the same probabilities."""

    def __init__(self, *probabilities: float, as_tuple: bool = False) -> None:
        super().__init__()
        self.logits, self.as_tuple = nn.Parameter(torch.tensor(probabilities).log() + 7.0), as_tuple

    def forward(self, images):
        logits = self.logits.expand(len(images), -1)
        return (logits, images) if self.as_tuple else logits


def test_the_answer_is_the_log_of_the_mean_probability():
    """Two of three prefer the second class, but the first one is so sure that the mean prefers the first."""
    networks = [Constant(0.9, 0.05, 0.05), Constant(0.4, 0.5, 0.1, as_tuple=True), Constant(0.2, 0.6, 0.2)]
    found = Vote(networks)(torch.zeros(2, 3, 4, 4))
    expected = torch.tensor([[1.5, 1.15, 0.35]] * 2) / 3
    torch.testing.assert_close(found.exp(), expected)
    torch.testing.assert_close(torch.softmax(found, dim=1), expected)


def test_one_network_votes_as_it_answers():
    torch.testing.assert_close(Vote([Constant(0.7, 0.3)])(torch.zeros(1, 3, 4, 4)).exp(), torch.tensor([[0.7, 0.3]]))


def test_a_vote_can_be_exported_to_other_programs():
    vote, images = Vote([nn.Sequential(nn.Flatten(), nn.Linear(48, 3)) for _ in range(2)]), torch.rand(2, 3, 4, 4)
    exported = torch.export.export(vote, (images,)).module()
    torch.testing.assert_close(exported(images), vote(images))


EXPORTED = {"stem": torch.arange(3.0), "head": torch.ones(2), "steps": torch.tensor(4)}


@pytest.fixture
def exported():
    return safetensors.torch.save(EXPORTED)


@pytest.fixture
def member(exported, tmp_path):
    path = tmp_path / "seed-1.safetensors"
    path.write_bytes(member_content({**EXPORTED, "head": torch.tensor([2.0, 3.0])}, exported, "key"))
    return path


def test_a_member_holds_what_differs(member, exported):
    assert list(safetensors.torch.load_file(member)) == ["head"]
    loaded = load_member(member, exported)
    assert {name: tensor.tolist() for name, tensor in loaded.items()} == {
        "stem": [0.0, 1.0, 2.0], "head": [2.0, 3.0], "steps": 4,
    }  # fmt: skip


def test_an_equal_network_takes_no_room(exported, tmp_path):
    path = tmp_path / "seed-1.safetensors"
    path.write_bytes(member_content(EXPORTED, exported, "key"))
    assert safetensors.torch.load_file(path) == {}
    assert set(load_member(path, exported)) == set(EXPORTED)


def test_a_member_belongs_to_one_network_and_one_training(member, exported):
    other = safetensors.torch.save({**EXPORTED, "stem": torch.zeros(3)})
    assert is_member(member, exported, "key")
    assert not is_member(member, exported, "another key")
    assert not is_member(member, other, "key")
    assert not is_member(member.with_name("missing"), exported, "key")
    with pytest.raises(DamagedStateError, match="belongs to another network than the exported one"):
        load_member(member, other)


@pytest.mark.parametrize("length", [0, 5, 90, -1])
def test_a_damaged_member_is_refused(length, member, exported):
    member.write_bytes(member.read_bytes()[:length])
    assert not is_member(member, exported, "key")
    with pytest.raises(DamagedStateError, match=r"'.*seed-1\.safetensors' is missing or damaged"):
        load_member(member, exported)
