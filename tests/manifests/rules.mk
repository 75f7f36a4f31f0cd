# Checks the rendered Kubernetes manifests, the CloudFormation template, the alerts and the metrics. Part of `make test`.
.PHONY: manifests
manifests: all
	@tests/run --only integration --files test_manifests.py test_cluster.py test_ecs.py test_compose.py test_prometheus.py
