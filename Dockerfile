# An image of wsify: one static program on Alpine, which brings CA certificates for the
# authorizer's URL, and wget for the health check. docker build -t wsify .

FROM golang:1.26-alpine AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=
RUN CGO_ENABLED=0 go build -buildvcs=false -trimpath -ldflags "-s -w ${VERSION:+-X main.version=$VERSION}" -o /wsify ./cmd/wsify

FROM alpine:3.22
COPY --from=build /wsify /usr/local/bin/wsify
USER 65532:65532
EXPOSE 3000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=5s CMD ["wget", "-q", "-O", "/dev/null", "http://127.0.0.1:3001/healthz"]
ENTRYPOINT ["/usr/local/bin/wsify"]
