# Tests the images and the compose fleet on a container engine. These tests are not part of `make test`, because they
# need Docker and several minutes.
.PHONY: container
container:
	@tests/container/run
