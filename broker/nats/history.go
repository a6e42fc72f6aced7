package nats

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"wsify/broker"
	"wsify/broker/internal/link"
)

// A stream of JetStream keeps history. A channel's publications go to inbound and its subject; the
// stream takes them and publishes them again, in the order of its sequence, to the subject alone,
// where nodes and other clients are subscribed. A channel's name cannot reach inbound, because a
// leading underscore is escaped.
const inbound = "_WSIFY."

// setupTimeout bounds each question about the stream when a link is opened.
const setupTimeout = 3 * time.Second

// Headers of a publication that a stream publishes again, and of an answer with one.
const (
	headerStream   = "Nats-Stream"
	headerSequence = "Nats-Sequence"
	headerLast     = "Nats-Last-Sequence"
	headerPending  = "Nats-Num-Pending"
	headerStatus   = "Status"
)

var (
	errTooOld   = errors.New("history needs NATS 2.9 or later: its streams do not publish again, or have no direct get")
	errReplaced = errors.New("the stream of the history has lost publications, or was replaced")
)

// plan is what the stream has to be like. It is immutable.
type plan struct {
	broker.History
	stream   string // its name
	prefix   string // of the subjects of nodes; it ends with a dot
	replicas int    // zero leaves it to the server, or as it is
	memory   bool   // whether a new stream is kept in memory only
}

// newPlan returns nil when no history is kept.
func newPlan(cfg broker.Config, d *address) *plan {
	if cfg.History == nil {
		return nil
	}
	return &plan{History: *cfg.History, stream: streamName(cfg.Prefix), prefix: cfg.Prefix, replicas: d.replicas, memory: d.memory}
}

// checkHistory returns an error when a stream cannot publish again to the subjects of a prefix.
func checkHistory(prefix string) error {
	switch {
	case !strings.HasSuffix(prefix, "."):
		return errors.New("with NATS, history needs a prefix that ends with a dot: \"shop.\", for example")
	case len(streamName(prefix)) > 255:
		return errors.New("with NATS and history, the prefix is too long for the name of a stream")
	}
	return nil
}

// streamName returns the name of the stream for a prefix. Different prefixes have different names.
func streamName(prefix string) string {
	var b strings.Builder
	b.WriteString("WSIFY_")
	for i := range len(prefix) {
		switch c := prefix[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-':
			b.WriteByte(c)
		case c != '.':
			fmt.Fprintf(&b, "=%02X", c)
		case i < len(prefix)-1:
			b.WriteByte('_')
		}
	}
	return b.String()
}

// shape sets what of a stream's configuration history relies on, and reports whether that changes it.
func (p *plan) shape(cfg *jetstream.StreamConfig) (changed bool) {
	before := fmt.Sprint(cfg.Subjects, cfg.MaxMsgsPerSubject, cfg.MaxAge, cfg.AllowDirect, cfg.Replicas, cfg.Retention, cfg.Discard, cfg.NoAck, cfg.SubjectTransform == nil, deref(cfg.RePublish))
	cfg.Subjects = []string{inbound + p.prefix + ">"}
	cfg.MaxMsgsPerSubject = int64(p.Size) + 1 // one more shows that none was dropped behind it
	cfg.MaxAge = max(p.TTL, 100*time.Millisecond)
	cfg.Duplicates = min(2*time.Minute, cfg.MaxAge)
	cfg.AllowDirect, cfg.Retention, cfg.Discard = true, jetstream.LimitsPolicy, jetstream.DiscardOld
	cfg.NoAck, cfg.SubjectTransform = false, nil
	cfg.RePublish = &jetstream.RePublish{Source: inbound + p.prefix + ">", Destination: p.prefix + ">"}
	cfg.Replicas = cmp.Or(p.replicas, cfg.Replicas, 1)
	return before != fmt.Sprint(cfg.Subjects, cfg.MaxMsgsPerSubject, cfg.MaxAge, cfg.AllowDirect, cfg.Replicas, cfg.Retention, cfg.Discard, cfg.NoAck, cfg.SubjectTransform == nil, deref(cfg.RePublish))
}

func deref(r *jetstream.RePublish) jetstream.RePublish {
	if r == nil {
		return jetstream.RePublish{}
	}
	return *r
}

// keeper is the history of a link.
type keeper struct {
	*plan
	js     jetstream.JetStream
	handle jetstream.Stream
	api    string // the beginning of the subjects of JetStream's API
	nc     *nats.Conn
	epoch  string
	opened time.Time // when the stream was created
	acked  uint64    // the last sequence that was acknowledged; for the publishing goroutine

	mu   sync.Mutex        // a leaf
	seen map[string]uint64 // by channel: everything up to this sequence has been received here, or was before the subscription
}

// openKeeper finds the stream, makes it or changes it.
func openKeeper(ctx context.Context, p *plan, nc *nats.Conn) (*keeper, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	handle, err := p.setUp(ctx, js)
	if err != nil {
		return nil, err
	}
	info := handle.CachedInfo()
	cfg := info.Config
	if p.shape(&cfg) {
		return nil, errTooOld
	}
	k := &keeper{plan: p, js: js, handle: handle, api: jetstream.DefaultAPIPrefix, nc: nc, seen: map[string]uint64{}, opened: info.Created}
	// Another size is another epoch: what it had dropped could not be told from what never was.
	k.epoch = strconv.FormatUint(uint64(info.Created.UnixNano())+uint64(p.Size), 36)
	return k, nil
}

// setUp returns the stream as it is afterwards. Another node may do the same at the same time.
func (p *plan) setUp(ctx context.Context, js jetstream.JetStream) (jetstream.Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, setupTimeout)
	defer cancel()
	s, err := js.Stream(ctx, p.stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		cfg := jetstream.StreamConfig{Name: p.stream, Description: "history of wsify's channels"}
		if p.memory {
			cfg.Storage = jetstream.MemoryStorage
		}
		p.shape(&cfg)
		if s, err = js.CreateStream(ctx, cfg); errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			s, err = js.Stream(ctx, p.stream)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("the stream %s: %w", p.stream, err)
	}
	cfg := s.CachedInfo().Config
	if p.shape(&cfg) {
		if s, err = js.UpdateStream(ctx, cfg); err != nil {
			return nil, fmt.Errorf("the stream %s has to be changed: %w", p.stream, err)
		}
	}
	return s, nil
}

// explain says what an operator can do about an error of openKeeper. denied is a right that the server
// has refused meanwhile, or nil.
func explain(err, denied error) error {
	switch {
	case denied != nil:
		err = denied
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount), errors.Is(err, nats.ErrNoResponders):
		return fmt.Errorf("history needs JetStream, and the server or the account has none: switch it on (jetstream in the server's configuration), or -history-channels off: %w", err)
	}
	return fmt.Errorf("history: %w", err)
}

// position returns the place of a publication that the stream has published again, and the sequence
// of the one before in its channel. ok is false for one that came past the stream.
//
// The stream forgets what it had before when all of it has expired. Then the one before is what this
// link has received last.
func (k *keeper) position(m *nats.Msg, channel string) (p broker.Position, prev uint64, ok bool) {
	if len(m.Header) == 0 || m.Header.Get(headerStream) != k.stream {
		return p, 0, false
	}
	p = broker.Position{Epoch: k.epoch}
	var err, err2 error
	p.Offset, err = strconv.ParseUint(m.Header.Get(headerSequence), 10, 64)
	prev, err2 = strconv.ParseUint(m.Header.Get(headerLast), 10, 64)
	if err != nil || err2 != nil {
		return p, 0, false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if seen, subscribed := k.seen[channel]; subscribed {
		if prev == 0 {
			prev = seen
		}
		k.seen[channel] = p.Offset
	}
	return p, prev, true
}

// keeps reports whether a channel, by its name at the engine, keeps history. A nil keeper keeps none.
func (k *keeper) keeps(channel string) bool {
	return k != nil && k.Match(strings.TrimPrefix(channel, k.prefix))
}

// subscribed notes that a channel is received from now on, and ended that it is not.
func (k *keeper) subscribed(channel string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.seen[channel] = 0
}

func (k *keeper) ended(channel string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.seen, channel)
}

// began notes that a channel without publications was at a sequence, if it is subscribed to and has
// received none: then the last one is the one before the next.
func (k *keeper) began(channel string, at uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if seen, subscribed := k.seen[channel]; subscribed && seen == 0 {
		k.seen[channel] = at
	}
}

// whole returns the content with its position, or as it came.
func (k *keeper) whole(m *nats.Msg, channel []byte) []byte {
	p, prev, ok := k.position(m, link.String(channel))
	if !ok {
		return m.Data
	}
	content, _ := broker.WithPosition(m.Data, p, prev)
	return content
}

// publish hands a publication to the stream. The acknowledgement comes later.
func (k *keeper) publish(subject string, content []byte) (jetstream.PubAckFuture, error) {
	// A retry of the package would put it behind later ones.
	return k.js.PublishAsync(inbound+subject, content, jetstream.WithRetryAttempts(0))
}

// receipt waits for an acknowledgement. replaced reports that the stream is another one.
func (k *keeper) receipt(ctx context.Context, ack jetstream.PubAckFuture, lost <-chan struct{}) (r broker.Receipt, replaced bool, err error) {
	var got *jetstream.PubAck
	select {
	case got = <-ack.Ok():
	case err = <-ack.Err():
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-lost:
		err = nats.ErrConnectionClosed
	}
	var refusal *jetstream.APIError
	switch {
	case err == nil:
		replaced = got.Sequence <= k.acked
		k.acked = got.Sequence
		return broker.Receipt{Position: broker.Position{Epoch: k.epoch, Offset: got.Sequence}}, replaced, nil
	case errors.Is(err, jetstream.ErrNoStreamResponse):
		err = fmt.Errorf("%w: %w", broker.ErrDown, err)
	case errors.As(err, &refusal):
		err = fmt.Errorf("the stream refuses the publication: %w", err)
	default:
		err = fmt.Errorf("%w: %w", broker.ErrUnknown, err)
	}
	return r, false, err
}
