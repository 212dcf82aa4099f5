"""The promtools of the tests: the system's promtool, and those of AFORO_PROMTOOLS."""

import os

from core.settings import Settings
from grafana.promtool import promtools

PROMTOOLS = promtools(Settings.from_env(os.environ).promtools)
