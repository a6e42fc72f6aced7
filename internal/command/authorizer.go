package command

import (
	"bytes"

	"github.com/goccy/go-json"
)

// AppendAuthorizerBody appends the body that asks the authorizer about c: the
// command and its args exactly as the client sent them, without the id.
func AppendAuthorizerBody(dst []byte, c *Command) []byte {
	dst = append(dst, `{"command":`...)
	if c.Kind == Unknown {
		dst = appendQuoted(dst, c.Name)
	} else {
		dst = appendQuoted(dst, c.Kind.String())
	}
	dst = append(dst, `,"args":`...)
	if c.Args == nil {
		dst = append(dst, '{', '}')
	}
	dst = append(dst, c.Args...)
	return append(dst, '}')
}

// connectBody asks the authorizer about a connection before it is upgraded.
type connectBody struct {
	Command string      `json:"command"`
	Args    connectArgs `json:"args"`
}

type connectArgs struct {
	Headers map[string][]string `json:"headers"`
	Query   map[string][]string `json:"query"`
}

// AppendConnectBody appends the body that asks the authorizer about a new
// connection, with the headers and the query of its request. The maps are only
// read. Keys are sorted. A nil map becomes an empty object, a nil list an empty
// list. Bytes that are not UTF-8 become U+FFFD. On an error it returns dst
// unchanged.
func AppendConnectBody(dst []byte, headers map[string][]string, query map[string][]string) ([]byte, error) {
	body, err := json.Marshal(connectBody{"connect", connectArgs{withoutNil(headers), withoutNil(query)}})
	if err != nil {
		return dst, err
	}
	return append(dst, body...), nil
}

// withoutNil returns m, or a copy without nil lists if m has any: the authorizer
// is promised objects and lists, never null.
func withoutNil(m map[string][]string) map[string][]string {
	if m == nil {
		return map[string][]string{}
	}
	for _, list := range m {
		if list == nil {
			return copyWithoutNil(m)
		}
	}
	return m
}

func copyWithoutNil(m map[string][]string) map[string][]string {
	copied := make(map[string][]string, len(m))
	for name, list := range m {
		copied[name] = append([]string{}, list...)
	}
	return copied
}

// endOfHeaders follows the headers in the body of a question about a connection. No string of JSON
// holds it, so nothing that a client sends looks like it.
var endOfHeaders = []byte(`},"query":{`)

// passing are the headers that differ with each request of one client: the nonce of the upgrade, and
// the trace that it belongs to. They are sorted, as the names in a body are.
var passing = [...][]byte{[]byte(`"Sec-Websocket-Key":[`), []byte(`"Traceparent":[`), []byte(`"Tracestate":[`)}

// AppendConnectQuestion appends what is asked about a connection: the headers in the body of
// AppendConnectBody, without those that differ with each request, and the query as it was sent. So two
// upgrades ask the same if all the rest is the same, byte for byte. The query of the body would not do:
// what cannot be decoded is not in there, but the authorizer sees it in a header. The result is no JSON;
// it is to be compared.
func AppendConnectQuestion(dst, body []byte, query string) []byte {
	headers, _, _ := bytes.Cut(body, endOfHeaders)
	for _, name := range passing {
		if before, values, found := bytes.Cut(headers, name); found {
			dst = append(dst, before...)
			_, headers, _ = bytes.Cut(values, []byte("]")) // one in a value leaves more to compare
		}
	}
	dst = append(dst, headers...)
	dst = append(dst, endOfHeaders...)
	return append(dst, query...)
}
