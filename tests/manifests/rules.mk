# The rendered Kubernetes manifests and the CloudFormation template against their rules.
.PHONY: manifests
manifests:
	@python3 tests/manifests/test_manifests.py
