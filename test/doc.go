// Package test tries wsify as its users do: the program that go build makes, with
// clients, a backend and webhooks that share no code with it.
//
// A browser, npm's ws and wscat, curl, Redis, NATS, nginx and HAProxy are used when
// they are there. With CI=true or E2E=1 the tests fetch what is missing: Debian
// packages when they run as root, npm packages into a temporary directory. Otherwise
// a test that lacks something is skipped and says what. The clients written in Go are
// a module of their own, in the directory clients, so that the server's go.mod does
// not know them; a test here runs that module's tests. In the directory compose is
// another, which reads YAML.
//
// With -short nothing here runs.
package test
