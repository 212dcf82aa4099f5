"""Run a Kubernetes control plane with KEDA on this machine, to test Aforo's manifests and scaling.

KEDA sets the number of worker pods by the length of the queue. Processes of this machine take the place of the pods'
containers.
"""
