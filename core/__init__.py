"""Code shared by all programs of this repository. It imports only `aforo`, none of the other packages."""

import aforo

VERSION = aforo.__version__
