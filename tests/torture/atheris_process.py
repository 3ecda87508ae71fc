"""``python -m torture.atheris_process NAME SECONDS FOLDER``: one reader under atheris, which ends this process.

It imports nothing before atheris can watch it.
"""

import sys
from pathlib import Path

import atheris  # type: ignore[import-not-found]

INSTRUMENTED = ("biotune.user_files", "biotune.recipe", "biotune.settings", "biotune.results", "biotune.datasets")
"""What of the readers is watched; together with the parsers of YAML and TOML, which are written in Python."""
LONGEST = 20_000
"""Bytes of an input, at most."""


def fuzz(name: str, seconds: str, folder: Path) -> None:
    """Change a file of this name, which lies in the folder ``known``, for so many seconds."""
    with atheris.instrument_imports(include=[*INSTRUMENTED, "yaml", "tomllib"]):
        from biotune.errors import BioTuneError
        from torture.fuzzing import READERS
    read, path = READERS[name], folder / name

    def reads_or_refuses(content: bytes) -> None:
        path.write_bytes(content)
        try:
            read(path)
        except BioTuneError as error:
            if "\n" in str(error):
                raise ValueError(f"several lines: {error}") from None

    longest = 3 * int(seconds)  # of one input: beyond the end, since its clock kills where the machine is busy
    limits = [f"-max_total_time={seconds}", f"-max_len={LONGEST}", f"-timeout={longest}", "-rss_limit_mb=4096"]
    atheris.Setup([sys.argv[0], *limits, f"-artifact_prefix={folder}/", str(folder / "known")], reads_or_refuses)
    atheris.Fuzz()


if __name__ == "__main__":
    fuzz(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
