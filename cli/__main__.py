"""`orders`, and `python -m cli`: Ctrl-C is answered in one sentence also while the command line is still imported."""

import gc
import sys


def main() -> None:
    """Entry point of `orders`; see `cli.main`."""
    try:
        gc.disable()  # what is imported stays: to go through it again and again is a tenth of a start
        from cli.main import import_command
        from cli.main import main as run

        import_command(sys.argv[1:])
        gc.freeze()
        gc.enable()
    except KeyboardInterrupt:
        sys.stderr.write("orders: stopped by Ctrl-C; nothing was begun\n")
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
