# The build image. `make image` replaces it by an image of the local Go toolchain.
ARG GO_IMAGE=golang:1.26

FROM ${GO_IMAGE} AS build
LABEL outpost.stage=build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY cmd cmd
COPY internal internal
ARG VERSION
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=${VERSION}" -o /outpost ./cmd/outpost

FROM scratch
COPY --from=build /outpost /outpost
EXPOSE 9057
HEALTHCHECK --interval=30s --timeout=5s --start-period=5s CMD ["/outpost", "healthcheck"]
ENTRYPOINT ["/outpost"]
