"""List of the five dashboards. The results of runs come first, the state of our programs last."""

from grafana.board import Board
from grafana.boards.bottleneck import BOTTLENECK
from grafana.boards.capacity import CAPACITY
from grafana.boards.run import RUN
from grafana.boards.stack_health import STACK_HEALTH
from grafana.boards.worker import WORKER

BOARDS: tuple[Board, ...] = (CAPACITY, RUN, WORKER, BOTTLENECK, STACK_HEALTH)
