"""Choices that several dashboards offer, and selectors several use; links between the dashboards take choices along."""

from __future__ import annotations

from core.language import Text
from grafana.board import Variable

#: the queues that workers read, then others that are watched: with several, the first is not somebody else's
QUEUES = "sort_desc(count by (queue) (aforo_worker_info) or 0 * max by (queue) (aforo_sqs_messages_visible))"
QUEUE = Variable("queue", Text("Cola", "Queue"), f"query_result({QUEUES})")
OF_QUEUE = '{queue=~"$queue"}'
HERE = 'instance=~"$instance"'
#: alerts of ours: a Prometheus that watches other things has others too
FIRING = 'ALERTS{alertstate="firing", product="aforo"}'
