package api

import (
	_ "embed"
	"net/http"
)

// description describes the API by OpenAPI 3.1. A test compares it with routes, and another one
// checks it with a library.
//
//go:embed openapi.json
var description []byte

// describe needs no key: it has no names.
func describe(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(description)
}
