"""Where tests look for programs."""

import os
import sysconfig

#: The interpreter's scripts first: tests may run from a virtual environment that isn't active.
PATH = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")])
