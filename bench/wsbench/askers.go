//go:build linux

package main

import (
	"bytes"
	"fmt"
	"sync/atomic"
)

// askers are connections that join a slow channel again as soon as they are
// answered, so that all of them always ask.
type askers struct {
	crowd  *crowd
	joined atomic.Int64 // answers that said yes
	ends   endings
}

// joinedPrefix is how an answer begins that says yes to the joins of wsifyDialect.
var joinedPrefix = []byte(`{"id":1,"ok":t`)

func openAskers(b *bench, s *server) (*askers, error) {
	a := new(askers)
	c, err := openCrowd(plan{size: b.slowConnections, threads: 1, target: s.target(), sources: b.sources, tolerant: true,
		message: a.message, ended: a.ends.note,
		request: func(i int) []byte {
			return clientFrame(opText, s.dialect.join(fmt.Sprintf("%s%05d", slowPrefix, i)))
		}})
	if err != nil {
		return nil, fmt.Errorf("connections that ask: %w", err)
	}
	a.crowd = c
	return a, nil
}

// start lets everybody ask. One that cannot be sent to has been closed, which its
// receiver notes.
func (a *askers) start() {
	for i := range a.crowd.members {
		m := &a.crowd.members[i]
		sendNow(m.fd, m.request)
	}
}

// message asks again when the answer was yes; after another one the server closes.
func (a *askers) message(m *member, e event) {
	if !bytes.HasPrefix(e.stamp, joinedPrefix) {
		return
	}
	a.joined.Add(1)
	sendNow(m.fd, m.request)
}
