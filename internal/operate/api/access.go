package api

import "net/http"

// access is what a request needs.
type access uint8

const (
	// readsNames: the key; without one set, a listener on loopback or a unix socket.
	readsNames access = iota
	// changes: the key, always.
	changes
	// Profiles: the key if one is set. They show no names, but cost time.
	Profiles
)

// refusal is why a request was refused before it was read.
type refusal uint8

const (
	refusedNoKey refusal = iota
	refusedWrongKey
	refusedOrigin
	refusedNotLocal
	refusedHost
	numRefusals
)

var refusalNames = [numRefusals]string{"no_key", "wrong_key", "cross_origin", "not_local", "wrong_host"}

// Refused returns how many requests were refused, by reason.
func (a *API) Refused() map[string]uint64 {
	all := make(map[string]uint64, numRefusals)
	for i, name := range refusalNames {
		all[name] = a.refused[i].Load()
	}
	return all
}

// Guard returns a handler that calls handle for requests that may have what they need.
//
// Web pages of other origins get nothing, whatever they send: a browser says where its requests
// are from. Pages that let their own name resolve to this machine are refused before (operate's
// host.go), and do not know the key.
func (a *API) Guard(needs access, handle http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if why, e := a.judge(needs, r); e != nil {
			a.refuse(w, r, why, e)
			return
		}
		handle(w, r)
	})
}

func (a *API) judge(needs access, r *http.Request) (refusal, *Error) {
	unsafe := *r
	unsafe.Method = http.MethodPost // Check lets a GET pass
	if a.origins.Check(&unsafe) != nil {
		return refusedOrigin, &Error{403, "cross_origin", "web pages of other origins may not use this listener", nil}
	}
	given := r.Header.Values("Authorization")
	switch {
	case a.cfg.Key == "" && needs == changes:
		return refusedNoKey, &Error{403, "no_key_set", "this server has no -admin-key, so nothing can be changed", nil}
	case a.cfg.Key == "" && needs == readsNames && !a.cfg.Local:
		return refusedNotLocal, &Error{403, "no_key_set", "without an -admin-key, names and addresses are shown on loopback or a unix socket only", nil}
	case a.cfg.Key == "":
		return 0, nil
	case len(given) == 0:
		return refusedNoKey, &Error{401, "unauthorized", "send the -admin-key: Authorization: Bearer KEY", nil}
	case len(given) > 1 || !a.key.Admit(nil, []byte(given[0])):
		return refusedWrongKey, &Error{401, "unauthorized", "the key is wrong", nil}
	}
	return 0, nil
}

// RefuseHost refuses a request with a Host that is not this machine.
func (a *API) RefuseHost(w http.ResponseWriter, r *http.Request) {
	a.refuse(w, r, refusedHost, &Error{421, "wrong_host", "this listener is on loopback and answers requests for localhost or a loopback address only", nil})
}

// refuse counts and logs a refusal, and answers at once.
func (a *API) refuse(w http.ResponseWriter, r *http.Request, why refusal, e *Error) {
	a.refused[why].Add(1)
	a.cfg.Logger.Warn("a request to the admin listener was refused", "reason", refusalNames[why], "addr", r.RemoteAddr, "path", r.URL.Path)
	if e.Status == http.StatusUnauthorized { // RFC 6750, section 3
		challenge := `Bearer realm="wsify"`
		if why == refusedWrongKey {
			challenge += `, error="invalid_token"`
		}
		w.Header().Set("WWW-Authenticate", challenge)
	}
	fail(w, e)
}
