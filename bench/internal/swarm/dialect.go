package swarm

import "fmt"

// Dialect is how clients talk to a server: the messages inside its frames, and the path.
type Dialect struct {
	Name, Path string
	hello      string // opens a session, and is answered; empty for none
	join       string // a format with the channel; answered once the client is a member
	since      string // likewise with a position; asks for what came after it
	joined     []byte // what an answer that says yes contains
	broadcast  string // a format with channel and content
	beat       string // a message that asks for a sign of life, and is sent back
}

var dialects = []*Dialect{
	{
		Name: "wsify", Path: "/ws",
		join: `{"id":1,"command":"join","args":{"channel":%q}}`, joined: []byte(`"ok":true`),
		since:     `{"id":1,"command":"join","args":{"channel":%q,"since":%q}}`,
		broadcast: `{"command":"broadcast","args":{"channel":%q,"content":%s}}`,
	},
	{ // the JSON protocol of centrifugal/centrifuge
		Name: "centrifuge", Path: "/connection/websocket",
		hello: `{"id":1,"connect":{}}`,
		join:  `{"id":2,"subscribe":{"channel":%q}}`, joined: []byte(`"subscribe":`),
		broadcast: `{"id":4,"publish":{"channel":%q,"data":%s}}`,
		beat:      `{}`,
	},
}

// DialectOf returns the dialect of this name; empty is wsify's.
func DialectOf(name string) (*Dialect, error) {
	var known []string
	for _, d := range dialects {
		if d.Name == name || name == "" {
			return d, nil
		}
		known = append(known, d.Name)
	}
	return nil, fmt.Errorf("there is no dialect %q; there are %v", name, known)
}
