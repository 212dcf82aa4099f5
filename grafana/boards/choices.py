"""Variables and selectors that several dashboards share.

Links between dashboards keep the chosen values.
"""

from __future__ import annotations

from core.language import Text
from grafana.board import Variable

#: Queues that workers read come first, so that the default is not a queue of another team.
QUEUES = "sort_desc(count by (queue) (aforo_worker_queue_info) or 0 * max by (queue) (aforo_sqs_messages_visible))"
QUEUE = Variable("queue", Text("Cola", "Queue"), f"query_result({QUEUES})")
OF_QUEUE = '{queue=~"$queue"}'
HERE = 'instance=~"$instance"'
#: Only our alerts, because a shared Prometheus has others too.
FIRING = 'ALERTS{alertstate="firing", product="aforo"}'
