# Tests the images and the compose fleet on a container engine. This is not part of `make test`, because it needs Docker
# and several minutes.
.PHONY: container
container:
	@tests/container/run
