"""`orders`, and `python -m cli`: Ctrl-C is answered in one sentence also while the command line is still imported."""

import sys


def main() -> None:
    """Entry point of `orders`; see `cli.main`."""
    try:
        from cli.main import main as run
    except KeyboardInterrupt:
        sys.stderr.write("orders: stopped by Ctrl-C; nothing was begun\n")
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
