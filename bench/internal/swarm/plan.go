package swarm

import "github.com/HdrHistogram/hdrhistogram-go"

// Target is where clients connect.
type Target struct {
	Addr    string // host:port, of several nodes with commas
	Host    string // of the Host header
	Path    string
	TLS     bool
	Dialect string
}

// What a connection sends before it stops for good.
const (
	HoldHead  = "head"  // half a request head
	HoldFrame = "frame" // half a frame
)

// Plan is a group of connections that are to be opened.
type Plan struct {
	Group    string
	Target   Target
	N        int
	First    int     // index of the first one, for its own channel
	Channel  string  // name, or the beginning of it
	Own      bool    // each has channels of its own
	Spread   int     // or they are spread over so many
	Joins    int     // channels each joins
	Rate     float64 // connections begun a second; 0: as fast as Window allows
	Window   int     // connections not open yet at a time; 0: no bound
	Hold     string
	Mute     bool    // it reads nothing once it is open
	Retry    bool    // after a 503 it comes again, when Retry-After is over
	Return   bool    // one that was cut off comes back, where there are several nodes to the next one
	Recover  bool    // by the subprotocol wsify.v1, with the position it has
	Drop     float64 // seconds within which each, at a random time, is cut off for two seconds
	HTTP     bool    // no upgrade: it sends requests
	Patience float64 // seconds without any progress until the rest is given up
}

// Opened is what became of a Plan.
type Opened struct {
	Open    int     `json:"open"`
	Failed  int     `json:"failed"`
	Retries int     `json:"retries"`
	Error   string  `json:"error"` // of the first that failed
	Seconds float64 `json:"seconds"`
	Latency Latency `json:"latency"` // from when it was to connect until it was open
}

// Latency is a histogram that can be sent and merged.
type Latency struct {
	Snapshot *hdrhistogram.Snapshot `json:"snapshot,omitempty"`
}

func (l Latency) Merge(h *hdrhistogram.Histogram) {
	if l.Snapshot != nil {
		h.Merge(hdrhistogram.Import(l.Snapshot))
	}
}

// Talk is load that a group of open connections makes.
type Talk struct {
	Group    string
	Conns    int     // how many of the group take part; 0: all
	Seconds  float64 // 0: until Count
	Count    int     // messages; 0: until Seconds are over
	Rate     float64 // messages a second of the group; 0: each connection sends when its last came back
	Size     int     // bytes of content
	Channel  string  // where to; empty: to a channel of the connection's own
	First    uint32  // number of the first content
	Burst    int     // bytes of messages a connection sends at once, Every seconds, to nobody
	Every    float64
	Channels int    // number of channels that Channel begins the name of; 0: it is one
	Auth     string // HTTP: "?key=…" of the path
}

// Heard is what a group of connections has heard, or has said and got back.
type Heard struct {
	Messages uint64   `json:"messages"`
	Doubles  uint64   `json:"doubles"`
	Missing  uint64   `json:"missing"`
	Refused  uint64   `json:"refused"` // HTTP answers other than 201
	Status   int      `json:"status"`  // of one of them
	Without  []uint32 `json:"without"` // their numbers, of a single connection's
	Gaps     uint64   `json:"gaps"`    // clients that were told of one; what they miss is not missing
	Latency  Latency  `json:"latency"`
	Ends     Ends     `json:"ends"`
}

// Ends is how connections of a group have ended, by close code; 1006 without one.
type Ends struct {
	Codes   map[int]int `json:"codes"`
	Seconds []float64   `json:"seconds"` // since the watch began, of each
	Open    int         `json:"open"`
	Pings   uint64      `json:"pings"`   // answered, by connections of all groups
	Back    []float64   `json:"back"`    // since the watch began: when those that the server had ended were back
	Longest float64     `json:"longest"` // that it took one of them, in seconds
	Refused int         `json:"refused"` // tries of theirs that failed
}

// Args is the argument of several methods; each takes what it needs.
type Args struct {
	Group   string
	First   uint32   // number of the first content
	Count   int      // of contents
	Members int      // of this worker
	Seconds float64  // to wait
	But     []uint32 // Heard: numbers that nobody has to hear
	Shift   int64    // ns that this worker's clock is ahead of the publisher's
	Flag    bool     // Shut: with a reset
}

// None is the argument, or the result, of what needs none.
type None struct{}
