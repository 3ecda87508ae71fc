"""``serve``: the page of a run in a browser, while it works."""

import sys
import time
from contextlib import suppress
from typing import Annotated

import typer

from biotune.cli import options as opt
from biotune.cli.app import app, out, print_json

_A_MINUTE_S = 60.0


@app.command(epilog="[bold]Example[/bold]\n\nbiotune serve runs/photos")
def serve(
    run: opt.AnyFolder,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 for any free one.", show_default=True)
    ] = 0,
    json: opt.Json = False,
) -> None:
    """Show a run or a comparison in a browser of this machine, while it works and afterwards; Ctrl+C ends it."""
    from biotune.report.live_page import live_page
    from biotune.serving import served

    live_page(run)  # a folder that holds neither is refused at once
    with served(run, port) as url, suppress(KeyboardInterrupt):
        if json:
            print_json({"url": url})
            sys.stdout.flush()
        else:
            out.print(f"Open {url}", highlight=False, soft_wrap=True)
        while True:
            time.sleep(_A_MINUTE_S)
