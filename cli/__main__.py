"""`python -m cli` is `orders`."""

from cli.main import main

main()
