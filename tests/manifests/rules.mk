# Checks the rendered Kubernetes manifests, the Helm chart, the CloudFormation template, the alerts and the metrics. Part
# of `make test`.
.PHONY: manifests
manifests: all
	@tests/run --only integration --files test_manifests.py test_cluster.py test_helm.py test_ecs.py test_compose.py test_prometheus.py
