"""A real Kubernetes control plane with KEDA on this machine, without containers."""
