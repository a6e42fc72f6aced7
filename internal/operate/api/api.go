package api

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"wsify/internal/publish"
)

// readTimeout is how long a question about connections may take. A loop under load answers within
// a part of a second.
const readTimeout = 5 * time.Second

// Config is the configuration of an API.
type Config struct {
	Key    string       // empty: nothing can be changed
	Local  bool         // the listener is on loopback or a unix socket
	Logger *slog.Logger // for refusals; records may come often
}

// API handles requests. Any goroutine may call its methods.
type API struct {
	cfg     Config
	control Control
	key     publish.Keys
	origins http.CrossOriginProtection
	walking chan struct{} // holds a value while a request looks at all channels or connections
	timeout time.Duration // of a question
	refused [numRefusals]atomic.Uint64
}

// New returns an API for a server.
func New(cfg Config, control Control) *API {
	return &API{cfg: cfg, control: control, key: publish.NewKeys(cfg.Key), walking: make(chan struct{}, 1), timeout: readTimeout}
}

// route is a kind of request.
type route struct {
	pattern string // of http.ServeMux
	needs   access
	handle  func(a *API, w http.ResponseWriter, r *http.Request) error
}

// routes are all requests. openapi.json describes them.
var routes = []route{
	{"GET /channels", readsNames, (*API).channels},
	{"GET /channels/{name}", readsNames, (*API).channel},
	{"GET /connections", readsNames, (*API).connections},
	{"GET /connections/{id}", readsNames, (*API).connection},
	{"POST /kick", changes, (*API).kick},
	{"POST /unsubscribe", changes, (*API).unsubscribe},
	{"POST /log-level", changes, (*API).logLevel},
	{"POST /drain", changes, (*API).drain},
	{"DELETE /drain", changes, (*API).undrain},
	{"POST /reload", changes, (*API).reload},
}

// Handle adds the API to a mux.
func (a *API) Handle(mux *http.ServeMux) {
	for _, rt := range routes {
		mux.Handle(rt.pattern, a.Guard(rt.needs, func(w http.ResponseWriter, r *http.Request) {
			if err := rt.handle(a, w, r); err != nil {
				fail(w, err)
			}
		}))
	}
	mux.HandleFunc("GET /openapi.json", describe)
	for path, methods := range methodsOf() {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { RefuseMethod(w, methods) })
		if !strings.HasSuffix(path, "}") {
			mux.HandleFunc(path+"/", nothingThere)
		}
	}
}

// methodsOf returns the methods of each path.
func methodsOf() map[string]string {
	paths := map[string]string{}
	for _, rt := range routes {
		method, path, _ := strings.Cut(rt.pattern, " ")
		if method == http.MethodGet {
			method += ", " + http.MethodHead
		}
		paths[path] = strings.TrimPrefix(paths[path]+", "+method, ", ")
	}
	return paths
}

// RefuseMethod answers a request whose method is none of these, which are separated by commas.
func RefuseMethod(w http.ResponseWriter, methods string) {
	w.Header().Set("Allow", methods)
	fail(w, &Error{405, "method_not_allowed", "the method has to be " + strings.ReplaceAll(methods, ", ", " or "), nil})
}

func nothingThere(w http.ResponseWriter, _ *http.Request) {
	fail(w, &Error{404, "not_found", "there is nothing at this path; GET / lists what there is, and slashes in a name have to be percent-encoded", nil})
}

// Error is a refusal, or a failure, as an operator's program sees it.
type Error struct {
	Status  int      `json:"-"`
	Code    string   `json:"code"`
	Message string   `json:"message"`
	Done    *Carried `json:"-"` // what was done nevertheless; nil for nothing
}

func (e *Error) Error() string { return e.Message }

func badRequest(message string) error { return &Error{400, "bad_request", message, nil} }

// fail answers with an error. One that is not an Error is from an event loop.
func fail(w http.ResponseWriter, err error) {
	e := &Error{503, "timeout", err.Error(), nil}
	if errors.Is(err, ErrNotFound) {
		e = &Error{404, "not_found", err.Error(), nil}
	}
	_ = errors.As(err, &e)
	if e.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	answer(w, e.Status, struct {
		*Carried
		Error *Error `json:"error"`
	}{e.Done, e})
}

// answer writes v as JSON.
func answer(w http.ResponseWriter, status int, v any) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
