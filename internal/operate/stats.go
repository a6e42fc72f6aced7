package operate

import (
	"wsify/broker"
	"wsify/netpoll"
)

// Stats are counts of the server since it was made; gauges where said. Maps hold all values
// of their label, also those that are zero.
type Stats struct {
	Net           netpoll.Stats
	Channels      int64 // gauge
	Subscriptions int64 // gauge
	WorkersBusy   int   // gauge
	Waiting       int   // gauge: calls that wait for a worker
	Asking        int64 // gauge: calls to the authorizer under way
	Draining      bool
	Broker        *broker.Stats // nil when it has no engine
	Accepted      uint64
	Upgraded      uint64
	Rejected      map[string]uint64            // handshakes refused, by reason
	Received      map[string]uint64            // messages, by command; invalid is none
	NotDone       map[string]uint64            // commands refused, by error code
	Broadcasts    map[string]uint64            // by source: client, http
	Unpublished   map[string]uint64            // publications of backends refused before the broker, by reason
	Sent          uint64                       // messages given to connections
	Dropped       map[string]uint64            // messages lost, by reason
	Closed        map[string]uint64            // connections ended, by reason
	Authorizer    map[string]map[string]uint64 // calls, by command and result
}
