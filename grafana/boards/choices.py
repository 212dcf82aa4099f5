"""Drop-down lists that several dashboards share, and label selectors for the chosen values.

A link from one dashboard to another passes the chosen values on.
"""

from __future__ import annotations

from collections.abc import Iterable

from core.language import Language, Text, same
from grafana.board import Variable
from grafana.wording import Words

#: Queues that workers read come first, so that the default is not a queue of another team. Then that of the database,
#: whose runs are shown although no worker is there.
QUEUES = (
    "sort_desc(count by (queue) (aforo_worker_queue_info) or 0 * max by (queue) (aforo_videos)"
    " or 0 * max by (queue) (aforo_sqs_messages_visible) - 1)"
)
QUEUE = Variable("queue", Text("Cola", "Queue"), f"query_result({QUEUES})")
APP = Variable("app", Text("Aplicación", "App"), "label_values(aforo_run_info, app)", multiple=True)
#: Apps of the workers that read the chosen queue. Prometheus adds the label `app` where it scrapes a worker.
APP_OF_WORKERS = Variable(
    "app", Text("Aplicación", "App"), 'label_values(aforo_worker_queue_info{queue=~"$queue"}, app)', multiple=True
)
#: Workers that read the chosen queue, of the chosen apps. A Prometheus of your own may add no label `app`.
INSTANCE = Variable(
    "instance",
    same("Worker"),
    'label_values(aforo_worker_queue_info{queue=~"$queue", app=~"$app|"}, instance)',
    multiple=True,
    only_listed=True,
)
OF_QUEUE = '{queue=~"$queue"}'
OF_QUEUE_AND_APP = '{queue=~"$queue", app=~"$app"}'
HERE = 'instance=~"$instance"'
#: Only our alerts, because a shared Prometheus has others too. An alert of a queue counts on the boards of that queue.
#: An alert without a queue counts everywhere.
FIRING_HERE = 'ALERTS{alertstate="firing", product="aforo", queue=~"$queue|"}'

#: Label with the shown text of a value. Its name comes before `mode`, `size` and `stage`, as a Variable needs it.
SHOWN_LABEL = "in_words"

VIDEOS_PER_MINUTE = same("videos/min")
SECONDS = same("s")
CORES = Text("núcleos", "cores")
CALLS_PER_SECOND = Text("llamadas/s", "calls/s")

NO_WORKER = Text("ningún worker", "no worker")
#: Also shown while Prometheus does not answer, so it does not say that there is no run.
NO_RUN = Text("sin datos; ¿aún sin pruebas? make run-burst", "no data; no run yet? make run-burst")
NONE_KNOWN = Text("ninguno conocido", "none known")


def of_all_queues(question: Text) -> Text:
    """Return the question of a panel whose metric has no queue, with a sentence that says so."""
    return Text(f"{question.es} De todas las colas.", f"{question.en} Of all queues.")


def numbered(expression: str, label: str, names: Iterable[str]) -> str:
    """Return a PromQL query that gives each series of `expression` a number for its value of `label`.

    The number is the position of the label value in `names`, counted from 0. A panel maps each number to a word.
    """
    # numbers, because a panel of label values cannot show a word when there are no data
    numbers = (f'label_replace(vector({number}), "{label}", "{name}", "", "")' for number, name in enumerate(names))
    return f"0 * ({expression}) + on ({label}) group_left () ({' or '.join(numbers)})"


def in_words(expression: str, label: str, words: Words) -> Text:
    """Return the query of a drop-down list that shows the values of `label` in words, in both languages.

    Each series of the PromQL query `expression` has one value of `label`. The label SHOWN_LABEL has its word. In
    `words`, a value in slashes is a regular expression, and its word can refer to its groups. A value without a word
    stays.
    """
    return Text(_in_words(expression, label, words, "es"), _in_words(expression, label, words, "en"))


def _in_words(expression: str, label: str, words: Words, lang: Language) -> str:
    named = f'label_replace({expression}, "{SHOWN_LABEL}", "$1", "{label}", "(.+)")'
    for value, word in words.items():
        pattern = value.strip("/^$") if value.startswith("/") else value
        named = f'label_replace({named}, "{SHOWN_LABEL}", "{word.text.to(lang)}", "{label}", "{pattern}")'
    return f"query_result({named})"


def of_queue_readers(metric: str) -> str:
    """Return the PromQL query for `metric`, limited to the workers that read the chosen queue.

    The user chooses the queue on the dashboard. `metric` is the name of a metric of workers.
    """
    return f"({metric} and on (job, instance) aforo_worker_queue_info{OF_QUEUE})"
