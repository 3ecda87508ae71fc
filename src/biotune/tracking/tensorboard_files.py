"""The tracker ``tensorboard``: event files, which ``tensorboard --logdir`` shows."""

import time
from collections.abc import Mapping
from typing import Any

from biotune.tracking.base import Closing, Tracker, required
from biotune.user_files import user_path


class TensorBoard(Tracker):
    """Event files in ``tensorboard/`` of the run folder, or in a folder named for the run in the one that is given."""

    def open(self, identity: str, points: int) -> str:
        """Begin a file; every call of a run has its own, in the same folder."""
        del points
        usual = user_path(self.where) / self.name if self.where else self.folder / "tensorboard"
        folder = identity or str(usual.absolute())
        self._events = required("tensorboard.compat.proto.event_pb2", "tensorboard")
        self._summaries = required("tensorboard.compat.proto.summary_pb2", "tensorboard")
        self._writer = required("tensorboard.summary.writer.event_file_writer", "tensorboard").EventFileWriter(folder)
        return folder

    def settings(self, values: Mapping[str, str]) -> None:
        """Note the settings as a table of text."""
        rows = "\n".join(f"| {key} | {value.replace('|', '/')} |" for key, value in values.items())
        self._text("settings", f"| setting | value |\n|---|---|\n{rows}")

    def point(self, group: str, step: int, values: Mapping[str, float]) -> None:
        """Note one point of each curve."""
        self._write(step, [{"tag": f"{group}/{name}", "simple_value": value} for name, value in values.items()])

    def closing(self, closing: Closing) -> None:
        """Note the figures at step 0, and where the report is."""
        self.point("result", 0, closing.figures)
        paths = "\n".join(f"* {path.absolute()}" for path in closing.files)
        self._text("result", f"{closing.verdict}\n\n{paths}")

    def close(self, *, finished: bool) -> None:
        """Close the file."""
        del finished
        self._writer.close()

    def _text(self, tag: str, text: str) -> None:
        """Note text, which the plugin ``text`` shows as Markdown."""
        metadata = {"plugin_data": {"plugin_name": "text"}}
        tensor = {"dtype": "DT_STRING", "string_val": [text.encode()], "tensor_shape": {"dim": [{"size": 1}]}}
        self._write(0, [{"tag": f"{tag}/text_summary", "metadata": metadata, "tensor": tensor}])

    def _write(self, step: int, values: list[dict[str, Any]]) -> None:
        summary = self._summaries.Summary(value=values)
        self._writer.add_event(self._events.Event(wall_time=time.time(), step=step, summary=summary))
        self._writer.flush()
