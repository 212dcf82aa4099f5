"""The five dashboards, in order from the result of the runs to the state of the programs."""

from grafana.board import Board
from grafana.boards.bottleneck import BOTTLENECK
from grafana.boards.capacity import CAPACITY
from grafana.boards.run import RUN
from grafana.boards.stack_health import STACK_HEALTH
from grafana.boards.worker import WORKER

BOARDS: tuple[Board, ...] = (CAPACITY, RUN, WORKER, BOTTLENECK, STACK_HEALTH)
