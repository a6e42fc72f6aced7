package session

import (
	"sync/atomic"

	"wsify/auth"
	"wsify/broker"
	"wsify/internal/command"
	"wsify/internal/publish"
	"wsify/netpoll"
)

// dropReason says why a message was not delivered or not published.
type dropReason uint8

const (
	dropSlow        dropReason = iota // the subscriber's outbound queue was full
	dropBroker                        // the broker did not accept it
	dropBusy                          // a backend's publication: the channel had too much undelivered
	dropFull                          // a backend's publication: the broker had too much to publish
	dropRate                          // a command over the rate of its connection
	dropPublishRate                   // a publication over the rate of its channel
	dropGone                          // of a batch whose publisher has disconnected
	numDropReasons
)

var dropNames = [numDropReasons]string{"slow_consumer", "broker_down", "channel_busy", "broker_full", "rate", "publish_rate", "publisher_gone"}

// counts are the counters of one loop. Any goroutine may read them, and some are also
// written outside of the loop.
type counts struct {
	accepted        atomic.Uint64
	upgraded        atomic.Uint64
	rejected        [numRejections]atomic.Uint64
	received        [command.Broadcast + 1]atomic.Uint64 // Unknown: invalid messages
	bad             [numBad]atomic.Uint64
	publishedClient atomic.Uint64
	publishedHTTP   atomic.Uint64
	unpublished     [publish.NumReasons]atomic.Uint64
	sent            atomic.Uint64
	dropped         [numDropReasons]atomic.Uint64
	closed          [numReasons]atomic.Uint64
}

// Commands that were not carried out, by the code of their error.
const (
	badRequest = iota
	badUnknown
	badDenied
	badDown
	badLimit
	badBroker
	numBad
)

var badCodes = [numBad]string{
	badRequest: command.BadRequest, badUnknown: command.UnknownCommand, badDenied: command.Denied,
	badDown: command.AuthorizerDown, badLimit: command.Limit, badBroker: command.BrokerDown,
}

// notDone counts a command that was not carried out.
func (n *counts) notDone(code string) {
	for i, c := range badCodes {
		if c == code {
			n.bad[i].Add(1)
			return
		}
	}
}

// Stats are the counters of a node since its start, and some gauges. Maps have an entry
// for each value of their label, also if it is zero.
type Stats struct {
	Net            netpoll.Stats
	Channels       int64 // gauge
	Subscriptions  int64 // gauge
	WorkersBusy    int   // gauge
	Waiting        int   // gauge: calls that wait for a worker
	Asking         int64 // gauge: calls to the authorizer in progress
	Draining       bool
	HasAuthorizer  bool
	Broker         *broker.Stats // nil when it has no engine
	Accepted       uint64
	Upgraded       uint64
	Rejected       map[string]uint64            // handshakes refused, by reason
	Received       map[string]uint64            // messages, by command, or "invalid"
	NotDone        map[string]uint64            // commands refused, by error code
	Broadcasts     map[string]uint64            // by source: client, http
	Unpublished    map[string]uint64            // publications of backends refused before the broker, by reason
	Sent           uint64                       // messages given to connections
	Dropped        map[string]uint64            // messages lost, by reason
	Closed         map[string]uint64            // connections ended, by reason
	Orders         map[string]uint64            // of operators, carried out here: kick, unsubscribe
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

// Connections returns the number of connections.
func (n *Node) Connections() int64 { return n.group.Connections() }

// EachChannel calls fn for each channel of this node with the number of its members, until
// fn returns false. It may be called from any goroutine that is not an event loop, and
// holds no lock while fn runs.
func (n *Node) EachChannel(fn func(name string, members int) (more bool)) { n.hub.Each(fn) }

// Stats adds up the counters of all loops. It may be called from any goroutine.
func (n *Node) Stats() Stats {
	h := n.hub.Stats()
	st := Stats{
		Net: n.group.Stats(), Channels: h.Channels, Subscriptions: h.Subscriptions,
		Asking: n.inFlight.Load(), Draining: n.draining.Load(), HasAuthorizer: n.cfg.AuthorizerURL != "", Broker: n.brokerStats(),
		Rejected: map[string]uint64{}, Received: map[string]uint64{}, NotDone: map[string]uint64{}, Broadcasts: map[string]uint64{}, Unpublished: map[string]uint64{},
		Dropped: map[string]uint64{}, Closed: map[string]uint64{}, Orders: map[string]uint64{}, Authorizer: map[string]map[string]uint64{}, Ignored: map[string]uint64{},
	}
	n.addHistory(&st)
	st.WorkersBusy, st.Waiting = n.workers.Busy()
	told := n.lifecycle.Stats()
	st.EventsWaiting, st.Events, st.EventsLost = told.Waiting, told.Sent, told.Lost
	st.Rejected["no_descriptor"] = uint64(st.Net.Refused) // not among those accepted
	for _, l := range n.loops {
		l.counts.addTo(&st)
	}
	for i, name := range orderNames {
		add(st.Orders, name, &n.obeyed[i])
	}
	for h := range auth.NumHeaders {
		add(st.Ignored, h.String(), &n.ignored[h])
	}
	for i, name := range eventList {
		of := map[string]uint64{}
		for r := range auth.NumResults {
			add(of, r.String(), &n.authorizer[i][r])
		}
		st.Authorizer[name] = of
	}
	return st
}

// brokerStats returns nil for a broker that has no engine.
func (n *Node) brokerStats() *broker.Stats {
	b, ok := n.broker.(interface{ Stats() broker.Stats })
	if !ok {
		return nil
	}
	st := b.Stats()
	return &st
}

func (n *counts) addTo(st *Stats) {
	st.Accepted += n.accepted.Load()
	st.Upgraded += n.upgraded.Load()
	st.Sent += n.sent.Load()
	add(st.Broadcasts, "client", &n.publishedClient)
	add(st.Broadcasts, "http", &n.publishedHTTP)
	for i, name := range publish.Reasons {
		add(st.Unpublished, name, &n.unpublished[i])
	}
	for i, name := range rejectionNames {
		add(st.Rejected, name, &n.rejected[i])
	}
	add(st.Received, "invalid", &n.received[command.Unknown])
	for kind := command.Join; kind <= command.Broadcast; kind++ {
		add(st.Received, kind.String(), &n.received[kind])
	}
	for i, code := range badCodes {
		add(st.NotDone, code, &n.bad[i])
	}
	for i, name := range dropNames {
		add(st.Dropped, name, &n.dropped[i])
	}
	for i, name := range reasonNames {
		if name != "" {
			add(st.Closed, name, &n.closed[i])
		}
	}
}

func add(to map[string]uint64, name string, n *atomic.Uint64) { to[name] += n.Load() }
