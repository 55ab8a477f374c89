# All images by one build: `docker buildx bake --file docker-bake.hcl`. For a registry, for both architectures and with a list
# of what each holds (SBOM):
#   REGISTRY=registry.example/owner/ TAG=1.0.0 docker buildx bake --file docker-bake.hcl release --push
variable "REGISTRY" { default = "next-token/" }
variable "TAG" { default = "local" }
variable "REVISION" { default = "unknown" }

group "default" { targets = ["inference-server", "gateway", "space"] }
group "release" { targets = ["published"] }

target "image" {
  args = { REVISION = REVISION }
}

target "inference-server" {
  inherits   = ["image"]
  dockerfile = "inference_server/Dockerfile"
  tags       = ["${REGISTRY}inference-server:${TAG}"]
}

target "gateway" {
  inherits   = ["image"]
  dockerfile = "web_gateway/Dockerfile"
  tags       = ["${REGISTRY}gateway:${TAG}"]
}

target "space" {
  inherits   = ["image"]
  dockerfile = "deploy/space/Dockerfile"
  tags       = ["${REGISTRY}space:${TAG}"]
}

target "published" {
  name      = "${image}-published"
  matrix    = { image = ["inference-server", "gateway", "space"] }
  inherits  = [image]
  platforms = ["linux/amd64", "linux/arm64"]
  attest    = ["type=sbom", "type=provenance,mode=max"]
}
