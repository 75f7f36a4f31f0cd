# The rendered Kubernetes manifests, the CloudFormation template, alerts and metrics against their rules. `make test` runs them too.
.PHONY: manifests
manifests: all
	@tests/run --only integration --files test_manifests.py test_cluster.py test_ecs.py test_compose.py test_prometheus.py
