"""How an image becomes an input, in words and as a small program that needs nothing of BioTune."""

from importlib.resources import files

from jinja2 import Environment, StrictUndefined

from biotune.exports.source import ONNX, Format
from biotune.records import Preprocessing


def steps_of(preprocessing: Preprocessing) -> tuple[str, ...]:
    """Return the steps from a file to the input of a network, one sentence each, in their order."""
    size, filtered = preprocessing.image_size, f"Pillow's {preprocessing.interpolation} filter (antialiased)"
    sized = {
        "squash": f"Resize the whole image to {size} x {size} pixels by {filtered}; its aspect ratio is given up.",
        "crop": f"Cut the square in the centre whose side is {preprocessing.crop_fraction:g} of the shorter side, "
        f"without rounding it to whole pixels, and resize it in the same step to {size} x {size} pixels by {filtered}.",
        "pad": f"Resize the longer side to {size} pixels by {filtered}, and paste the image into the centre of a black "
        f"square of {size} x {size}.",
    }
    mean, std = ([f"{value:.6g}" for value in values] for values in (preprocessing.mean, preprocessing.std))
    return (
        "Decode the first frame of the file as RGB with 8 bits for each value, turned upright as its EXIF data say, "
        "transparent pixels over white.",
        sized[preprocessing.resize],
        "Divide all values by 255.",
        f"Subtract the mean of each channel, red {mean[0]}, green {mean[1]}, blue {mean[2]}, and divide by its "
        f"standard deviation, red {std[0]}, green {std[1]}, blue {std[2]}.",
    )


def program(format: Format, preprocessing: Preprocessing) -> str:  # noqa: A002
    """Return ``predict.py``: Python that reads images and prints the probabilities of their classes.

    It holds nothing that a user wrote: class names are read from a file beside it.
    """
    source = files("biotune.exports").joinpath("templates/predict.py.jinja").read_text(encoding="utf-8")
    template = Environment(undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True, autoescape=False)
    return template.from_string(source).render(onnx=format == ONNX, inputs=preprocessing)
