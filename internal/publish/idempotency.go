package publish

// keyHeader names the header with a key that is the publisher's name for one request; draft 07 of
// draft-ietf-httpapi-idempotency-key-header.
const keyHeader = "Idempotency-Key"

const maxKey = 255 // bytes

// parseIdempotencyKey reads a key: a string of RFC 9651, section 3.3.3, as the draft says, or the
// bare text, as many clients send it.
func parseIdempotencyKey(value []byte) (key string, ok bool) {
	if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
		value = value[1 : n-1]
	}
	for _, c := range value {
		if c < ' ' || c > '~' {
			return "", false
		}
	}
	return string(value), len(value) > 0 && len(value) <= maxKey
}
