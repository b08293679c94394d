# The image for amd64 and arm64, with its provenance and SBOM. In the root of the repository:
#
#   docker buildx bake --file deploy/docker-bake.hcl --push
#
# One architecture, into the local engine: docker buildx bake --file deploy/docker-bake.hcl --load --set '*.platform=linux/arm64'
variable "IMAGE" {
  default = "registry.example.com/tertulia"
}

variable "VERSION" {
  default = "0.1.0"
}

# The commit: REVISION=$(git rev-parse HEAD)
variable "REVISION" {
  default = "unknown"
}

group "default" {
  targets = ["tertulia"]
}

target "tertulia" {
  context    = "."
  dockerfile = "deploy/Dockerfile"
  platforms  = ["linux/amd64", "linux/arm64"]
  tags       = ["${IMAGE}:${VERSION}"]
  args       = { REVISION = REVISION }
  attest     = ["type=provenance,mode=max", "type=sbom"]
}
