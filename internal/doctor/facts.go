package doctor

import (
	"time"

	"wsify/auth"
	"wsify/broker"
	"wsify/internal/cgroup"
	"wsify/internal/server"
)

// Facts are what the checks need. In numbers of the kernel, zero means that the number
// could not be read.
type Facts struct {
	Config server.Config // valid
	Place  Place
	Now    time.Time

	Files   Range // soft and hard limit of this process' descriptors
	Unit    Unit
	NrOpen  int64 // fs.nr_open: the highest hard limit
	Opened  int64 // descriptors in use on the whole machine
	FileMax int64 // fs.file-max
	Watch   int64 // fs.epoll.max_user_watches

	Somaxconn  int64
	SynBacklog int64
	SynCookies bool
	Ports      Range  // net.ipv4.ip_local_port_range
	TCPMemory  Triple // in pages
	PageSize   int64
	Receive    Triple // net.ipv4.tcp_rmem
	Send       Triple // net.ipv4.tcp_wmem
	Tracking   int64  // net.netfilter.nf_conntrack_max
	Tracked    int64  // connections that are tracked now

	Memory    int64 // of the machine, in bytes
	Available int64 // of it
	Cgroup    cgroup.Memory
	GoLimit   int64   // GOMEMLIMIT
	Quota     float64 // processors' time, 0 without a quota
	Cores     int     // that this process may run on

	Synchronized bool // the clock, by the kernel's opinion
	ClockKnown   bool

	Authorizer *auth.Examination // nil when none is configured
	Events     *auth.Examination // of their webhook; nil when none are wanted
	Broker     *broker.Examination
	BrokerErr  error // why there is no link to the engine

	Listeners []Listener
}

// Range is two numbers, and Triple three, as the kernel writes them.
type (
	Range  struct{ Low, High int64 }
	Triple struct{ Low, Middle, High int64 }
)

// Place says who sets the limits of this process.
type Place uint8

// The places.
const (
	Host Place = iota
	Container
	Pod // of Kubernetes
)

// Unit is what systemd knows of a service named wsify.
type Unit struct {
	Systemd bool   // it runs here
	Path    string // of the unit's file, "" when there is none
	Files   int64  // hard limit of descriptors for the service: its own, or systemd's default
	Own     bool   // the unit, or a drop-in, sets it
	Inside  bool   // this process is in that service
}

// Listener is the state of an address that the server would listen on.
type Listener struct {
	Flag, Addr string
	State      State
	Err        error // why it cannot be listened on
	proxied    bool  // it expects a PROXY header
}

// State is the state of an address.
type State uint8

// The states.
const (
	Free State = iota
	Ours       // a wsify answers there
	Taken
	Refused
	Passed // it is opened by another program, and not looked at
)

// unlimited is a number that stands for no limit.
const unlimited = int64(1) << 53
