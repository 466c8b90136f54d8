"""`python -m jaxal` is the command `jaxal`."""

import sys

from jaxal.cli import main

if __name__ == "__main__":
    sys.exit(main())
