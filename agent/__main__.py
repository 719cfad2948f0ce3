"""`python3 -m agent`, installed as `pbx-agent`: hands the arguments to `cli`."""

import sys

from agent.cli import main

if __name__ == "__main__":
    sys.exit(main())
