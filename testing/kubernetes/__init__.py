"""Run a real Kubernetes control plane with KEDA on this machine.

It tests Aforo's manifests and scaling. KEDA scales the workers by the length of the queue. No container runs.
"""
