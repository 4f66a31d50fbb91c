"""`python -m otgen` is the same command as `otgen`."""

from .cli import main

if __name__ == "__main__":
    main()
