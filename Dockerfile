# An image of wsify: one static program, the certificates of authorities for URLs with https, and
# nothing else. There is no shell in it. The build has no .git, so it is told what it is built from:
#
#	docker build --tag wsify --build-arg VERSION=4.0.0 --build-arg COMMIT=$(git rev-parse HEAD) .

FROM golang:1.26-alpine AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION= COMMIT=
RUN CGO_ENABLED=0 go build -buildvcs=false -trimpath -ldflags "-s -w ${VERSION:+-X main.version=$VERSION} ${COMMIT:+-X main.commit=$COMMIT}" -o /wsify ./cmd/wsify

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /wsify /wsify
USER 65532:65532
EXPOSE 3000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=11s --start-period=5s CMD ["/wsify", "healthcheck"]
ENTRYPOINT ["/wsify"]
