# Tests the images and the compose fleet on a container engine. Not part of `make test`, as it needs Docker and minutes.
.PHONY: container
container:
	@tests/container/run
