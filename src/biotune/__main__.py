"""``python -m biotune``: the command line."""

from biotune.cli import main

if __name__ == "__main__":
    main()
