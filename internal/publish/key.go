package publish

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"net/url"
	"strings"
)

// Keys decides whether a client may publish with POST /broadcast: it needs the key. The
// peer's address does not count, because behind a proxy every peer has a local address.
type Keys struct {
	sum  [sha256.Size]byte // of the key
	open bool              // no key is set: requests without a key are admitted, all others refused
}

// NewKeys returns the rule for one key. If key is empty, requests without a key are
// admitted and all others are refused.
func NewKeys(key string) Keys {
	return Keys{sum: sha256.Sum256([]byte(key)), open: key == ""}
}

// Admit reports whether a request with this query and this Authorization header,
// nil for none, may publish. It compares in constant time.
func (k *Keys) Admit(query, authorization []byte) bool {
	given := bearer(authorization)
	if given == nil {
		given = queryKey(query)
	}
	if k.open {
		return given == nil
	}
	sum := sha256.Sum256(given)
	return given != nil && subtle.ConstantTimeCompare(sum[:], k.sum[:]) == 1
}

// bearer returns the token of an Authorization header; RFC 6750, section 2.1. It is
// nil when the header has another scheme.
func bearer(authorization []byte) []byte {
	scheme, token, _ := bytes.Cut(authorization, []byte(" "))
	if !strings.EqualFold(string(scheme), "Bearer") {
		return nil
	}
	if token = bytes.TrimSpace(token); token == nil {
		return []byte{} // an empty key is a wrong key, not a missing one
	}
	return token
}

// queryKey returns the first parameter "key", decoded. It is nil when there is none,
// and empty when it has an invalid escape.
func queryKey(query []byte) []byte { return parameter(query, "key") }

// parameter returns the first parameter of this name, decoded. It is nil when there is none, and
// empty when it has an invalid escape.
func parameter(query []byte, want string) []byte {
	for len(query) > 0 {
		var part []byte
		part, query, _ = bytes.Cut(query, []byte("&"))
		name, value, _ := bytes.Cut(part, []byte("="))
		if string(name) == want {
			decoded, _ := url.QueryUnescape(string(value))
			return []byte(decoded)
		}
	}
	return nil
}
