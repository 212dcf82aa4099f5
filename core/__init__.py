"""What every program must agree on; imports nothing of ours but the library."""

import aforo

VERSION = aforo.__version__
