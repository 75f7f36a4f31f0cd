# The images and the compose fleet on a real engine. Not part of `make test`: it needs Docker and minutes.
.PHONY: container
container:
	@tests/container/run
