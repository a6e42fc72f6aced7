package operate

import (
	"wsify/broker"
	"wsify/netpoll"
)

// Stats are counters of the server since its start, and gauges where noted. Maps have all values of
// their label, even if zero.
type Stats struct {
	Net            netpoll.Stats
	Channels       int64 // gauge
	Subscriptions  int64 // gauge
	WorkersBusy    int   // gauge
	Waiting        int   // gauge: calls that wait for a worker
	Asking         int64 // gauge: calls to the authorizer under way
	Draining       bool
	HasAuthorizer  bool
	Broker         *broker.Stats // nil without an engine
	Accepted       uint64
	Upgraded       uint64
	Rejected       map[string]uint64            // handshakes refused, by reason
	Received       map[string]uint64            // messages, by command, or as invalid
	NotDone        map[string]uint64            // commands refused, by error code
	Broadcasts     map[string]uint64            // by source: client, http
	Unpublished    map[string]uint64            // publications of backends refused before they reached the broker, by reason
	Sent           uint64                       // messages queued for connections
	Dropped        map[string]uint64            // messages lost, by reason
	Closed         map[string]uint64            // connections ended, by reason
	Orders         map[string]uint64            // of operators, carried out on this node: kick, unsubscribe
	Authorizer     map[string]map[string]uint64 // calls, by command and result
	Ignored        map[string]uint64            // headers of the authorizer's answers that break a rule, by header
	EventsWaiting  int                          // gauge
	Events         map[string]uint64            // lifecycle events that were sent; nil without
	EventsLost     map[string]uint64            // by reason
	Followed       int                          // gauge: channels with history that this node follows
	HistoryBytes   int64                        // gauge: of publications that it keeps for them
	RingBytes      int64                        // gauge: memory of the history that the memory broker keeps
	RingsLost      uint64                       // channels that have lost it, to make room for others
	HistoryReads   map[string]uint64            // questions to the engine, by result; nil without history
	HistoryGaps    uint64                       // of channels: something cannot be given to the members
	HistoryDoubles uint64                       // publications that came again, and were not delivered
	Recoveries     map[string]uint64            // joins from a position, by result; nil without history
}
