// Package test tests wsify as users use it: the program that go build makes, with clients, a
// backend and webhooks that share no code with it.
//
// The end-to-end tests use a browser, npm's ws and wscat, Node, Deno and Bun, Python's websockets, curl, Redis, NATS, nginx, HAProxy and Caddy, systemd in namespaces, or
// take long. They run with E2E=1 (make e2e), and fetch what is missing: Debian packages when they
// run as root, npm packages into a temporary directory. The clients written in Go are a module of
// their own, in the directory clients, so that the server's go.mod does not have their
// dependencies; a test here runs that module's tests. The directory compose has another module,
// which reads YAML.
//
// With -short no test here runs.
package test
