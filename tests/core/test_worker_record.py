from core.promql import Sample
from core.worker_conditions import record_of_page


def test_a_record_of_a_page_has_no_empty_labels_because_prometheus_keeps_none():
    families = {
        "aforo_worker_info": [Sample({"celery": "5.4.0", "profile": ""}, 1.0)],
        "aforo_worker_slots": [Sample({}, 2.0)],
    }
    assert record_of_page(families) == {"celery": "5.4.0", "slots": 2}
