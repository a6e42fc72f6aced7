package server

import (
	"strings"
)

// origins is which values of the Origin header may upgrade.
type origins struct {
	any      bool
	patterns []string // lower case
}

func newOrigins(allowed []string) origins {
	o := origins{any: len(allowed) == 0}
	for _, p := range allowed {
		if p == "*" {
			o.any = true
		}
		o.patterns = append(o.patterns, strings.ToLower(p))
	}
	return o
}

// allow reports whether a page of this origin may connect. A request without an
// Origin header does not come from a page and is always allowed; RFC 6455,
// section 10.2.
func (o *origins) allow(origin []byte) bool {
	if o.any || origin == nil {
		return true
	}
	got := strings.ToLower(string(origin))
	for _, p := range o.patterns {
		if matchOrigin(p, got) {
			return true
		}
	}
	return false
}

// matchOrigin compares an origin with a pattern in which "*." stands for one or
// more leading labels of the host.
func matchOrigin(pattern, origin string) bool {
	before, after, wild := strings.Cut(pattern, "*.")
	if !wild {
		return pattern == origin
	}
	host, ok := strings.CutPrefix(origin, before)
	if !ok {
		return false
	}
	labels, ok := strings.CutSuffix(host, "."+after)
	return ok && labels != "" && !strings.ContainsAny(labels, "/:@?#")
}
