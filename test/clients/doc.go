// Package clients tests wsify with WebSocket clients of others, and its admin API with a library for
// OpenAPI. It is a module of its own, so that the server does not depend on them.
//
// The server is the program that WSIFY_PROGRAM names, or is built from the module
// two directories up.
package clients
