package command

import "github.com/goccy/go-json"

// AppendAuthorizerBody appends the question whether c may be carried out: its
// name, and its args exactly as the client sent them. The id is not part of it.
func AppendAuthorizerBody(dst []byte, c *Command) []byte {
	dst = append(dst, `{"command":`...)
	if c.Kind == Unknown {
		dst = appendQuoted(dst, string(c.Name))
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

// connectBody is the question that is asked before a connection is upgraded.
type connectBody struct {
	Command string      `json:"command"`
	Args    connectArgs `json:"args"`
}

type connectArgs struct {
	Headers map[string][]string `json:"headers"`
	Query   map[string][]string `json:"query"`
}

// AppendConnectBody appends the question whether a connection may be opened,
// with the headers and the query of its request. The maps are only read. Their
// keys come out sorted; a nil map becomes an empty object, a nil list an empty
// one; bytes that are no UTF-8 become U+FFFD. On an error dst is returned as it
// was.
func AppendConnectBody(dst []byte, headers map[string][]string, query map[string][]string) ([]byte, error) {
	body, err := json.Marshal(connectBody{"connect", connectArgs{withoutNil(headers), withoutNil(query)}})
	if err != nil {
		return dst, err
	}
	return append(dst, body...), nil
}

// withoutNil returns m, or a copy of it when it has to differ: the authorizer is
// promised objects and lists, never null.
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
