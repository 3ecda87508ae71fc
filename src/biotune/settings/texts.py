"""The settings of texts: which words a network knows, how much of a text it sees, and how wide it is."""

from typing import Annotated

from pydantic import Field

from biotune.settings.sections import Section
from biotune.settings.setting import NETWORK, RUN_COMMANDS, Option, Setting


class TextConfig(Section):
    """How texts become inputs, and the widths of a network of texts; without any effect on images."""

    vocabulary: Annotated[
        int,
        Field(ge=1, le=1_000_000),
        Setting(
            "Of texts: most frequent words of the training texts that the network knows",
            Option(NETWORK, RUN_COMMANDS),
            page="texts.md",
        ),
    ] = 20_000
    min_count: Annotated[
        int, Field(ge=1, le=1_000_000), Setting("Occurrences in the training texts from which a word is known")
    ] = 2
    max_length: Annotated[
        int,
        Field(ge=1, le=10_000),
        Setting(
            "Of texts: words that the network sees of each, from its beginning",
            Option(NETWORK, RUN_COMMANDS),
            page="texts.md",
        ),
    ] = 256
    lower_case: Annotated[bool, Setting("Whether capitals are ignored")] = True
    embedding: Annotated[int, Field(ge=1, le=4096), Setting("Width of the word vectors")] = 256
    hidden: Annotated[int, Field(ge=1, le=8192), Setting("Width of the features that the classifier gets")] = 128
