"""``python -m theval_datasets`` is the command `theval-data`."""

from theval_datasets.cli import run

if __name__ == "__main__":
    run()
