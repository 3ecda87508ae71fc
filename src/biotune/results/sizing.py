"""What the probe found before a run: networks and input sizes, and which of them the run works with."""

from pydantic import Field

from biotune.results.part import Part


class TriedSize(Part):
    """A network at one input size."""

    model: str = Field(description="canonical name of the network")
    image_size: int = Field(description="side of the input in pixels")
    accuracy: float | None = Field(description="accuracy of the probe, out of fold; `null` if nothing can be held out")
    log_loss: float | None = Field(description="log-loss of the probe on the same images, in nats")
    multiplications: int = Field(description="of a forward pass of one image")
    full_finetune_seconds: float = Field(
        description="CPU seconds of one full fine-tune (on a GPU, seconds), estimated from the forward passes: a rough "
        "value"
    )


class Sizing(Part):
    """How network and input size were chosen; see [models.md](models.md#input-size)."""

    model: str = Field(description="canonical name of the chosen network")
    image_size: int = Field(description="the chosen side of the input in pixels")
    images: int = Field(description="training and validation images that the probe was scored on")
    seconds: float = Field(description="how long all of it took")
    tried: tuple[TriedSize, ...] = Field(description="every network at every size, in the order in which it was tried")
