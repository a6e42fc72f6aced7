package server

import (
	"runtime/debug"
	"time"
)

// trimInterval is how long a server has to be quiet before its memory is trimmed.
const trimInterval = 2 * time.Second

// trimWorth is how much has to have happened for a trim to be worth a collection,
// in the units of work.
const trimWorth = 64

// trim gives memory back to the system when a burst is over: Go's own pace leaves
// the heap of a quiet server at up to twice its use for minutes. It acts once
// after a burst, when the server has been quiet for an interval, so a busy server
// pays nothing and an idle one a collection per burst.
func (srv *Server) trim() {
	tick := time.NewTicker(trimInterval)
	defer tick.Stop()
	var last, trimmed uint64
	for {
		select {
		case <-srv.stopping:
			return
		case <-tick.C:
		}
		work := srv.work()
		if work == last && work-trimmed >= trimWorth {
			debug.FreeOSMemory()
			trimmed = work
		}
		last = work
	}
}

// work grows by one with each connection, HTTP publication, and 64 KiB moved.
func (srv *Server) work() uint64 {
	st := srv.group.Stats()
	n := (st.BytesReceived+st.BytesSent)>>16 + srv.publishedHTTP.Load()
	for _, l := range srv.loops {
		n += l.counts.accepted.Load()
	}
	return n
}
