"""The installed command `theval-data`, and ``python -m theval_datasets``."""

from theval_datasets.cli import main
from theval_datasets.utils.quiet import silence_native_chatter


def run() -> None:
    """The command line without what native libraries print."""
    silence_native_chatter()
    main()


if __name__ == "__main__":
    run()
