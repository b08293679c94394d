"""Serve Tertulia without backpressure, so that it sends one delta per token even when its event loop is overloaded.

Usage: python -m bench.peers.unmerged --port PORT
"""

import sys

from tertulia.claude import backpressure
from tertulia.cli.main import main

if __name__ == "__main__":
    backpressure.LONGEST = 0.0
    sys.argv = ["tertulia", "serve", *sys.argv[1:]]
    main()
