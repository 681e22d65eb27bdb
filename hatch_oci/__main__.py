"""`python -m hatch_oci`."""

import sys

from hatch_oci.cli import main

if __name__ == "__main__":
    sys.exit(main())
