package redis

import (
	"cmp"
	"context"
	"crypto/sha1"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"wsify/broker"
	"wsify/broker/internal/link"
)

// History is kept in two keys of a channel, in its slot: a stream of the newest publications, and a
// hash with the epoch, the offset of the newest one, and the run of the master that gave it. The epoch
// ends with the run, unless a node has marked the hash as durable: that the server loses nothing. The
// ID of an entry is its offset and the time of the server in milliseconds.
const (
	streamKey   = "wsify:history:"
	positionKey = "wsify:position:"

	// positionLife is how long a channel without publications keeps its position. Then it has another
	// epoch, and those who come back are told that they may have missed something.
	positionLife = 24 * time.Hour
)

// publishScript gives a publication its offset, keeps and publishes it. All but the last call are
// refused together when the server has no memory or cannot write.
//
//go:embed publish.lua
var publishScript string

// tailScript returns epoch and offset of a channel, and the time of the server.
//
//go:embed tail.lua
var tailScript string

// keeper keeps history in Redis. It is immutable.
type keeper struct {
	size      int
	ttl       time.Duration
	sha       string // of publishScript
	sizeText  string
	ttlText   string // in milliseconds
	lifeText  string // of positions, in milliseconds
	durable   string // 1 when the server loses nothing that it has acknowledged, else 0
	clustered bool
}

// newKeeper returns nil for nil.
func newKeeper(h *broker.History, durable bool) *keeper {
	if h == nil {
		return nil
	}
	sum := sha1.Sum([]byte(publishScript))
	millis := func(d time.Duration) string { return strconv.FormatInt(max(1, d.Milliseconds()), 10) }
	k := &keeper{
		size: h.Size, ttl: h.TTL, sha: hex.EncodeToString(sum[:]),
		sizeText: strconv.Itoa(h.Size), ttlText: millis(h.TTL), lifeText: millis(max(positionLife, h.TTL)), durable: "0",
	}
	if durable {
		k.durable = "1"
	}
	return k
}

// inCluster returns the keeper for a cluster; nil for nil.
func (k *keeper) inCluster() *keeper {
	if k == nil {
		return nil
	}
	c := *k
	c.clustered = true
	return &c
}

// keys returns the keys of a channel. In a cluster they are in the channel's slot, whatever its name
// is: the braces have a short text of that slot.
func (k *keeper) keys(channel string) (stream, position string) {
	if !k.clustered {
		return streamKey + channel, positionKey + channel
	}
	tag := "{" + slotTags()[slotOf(channel)] + "}"
	return streamKey + tag + channel, positionKey + tag + channel
}

// slotTags returns a short text for each slot.
var slotTags = sync.OnceValue(func() *[numSlots]string {
	var tags [numSlots]string
	for i, left := uint64(0), numSlots; left > 0; i++ {
		tag := strconv.FormatUint(i, 36)
		if slot := slotOf(tag); tags[slot] == "" {
			tags[slot] = tag
			left--
		}
	}
	return &tags
})

// freshEpoch returns an epoch for a channel that has none.
func freshEpoch() string { return strconv.FormatUint(rand.Uint64(), 36) }

// leastVersion is the first version of Redis that reads streams as readHistory does.
var leastVersion = [2]int{6, 2}

// keepHistory prepares a connection for history: it learns the run of the server, which is another one
// after a restart or a failover.
func (c *conn) keepHistory(ctx context.Context, k *keeper, s serverInfo) error {
	if old(s["version"], leastVersion) {
		return fmt.Errorf("history needs Redis 6.2 or later, and this is %s: switch -history-channels off, or upgrade", s["version"])
	}
	if s.replica() { // its run is still that of its master, and another one when it has taken over
		return errors.New("the server is not the master")
	}
	r, err := c.call(ctx, "INFO", "replication")
	if refusal, refused := errors.AsType[respError](err); refused {
		return fmt.Errorf("history needs the right to INFO: %w", refusal)
	}
	if err != nil {
		return err
	}
	c.run = runOf(r.text)
	if c.run == "" {
		return errors.New("history needs INFO replication to have master_replid")
	}
	c.keep = k
	_, err = c.call(ctx, "SCRIPT", "LOAD", publishScript)
	if _, refused := errors.AsType[respError](err); refused { // the first publication sends it then
		err = nil
	}
	return err
}

// runOf returns the run of a server, from its INFO; "" if it is not there.
func runOf(info string) string {
	for line := range strings.Lines(info) {
		if id, ok := strings.CutPrefix(line, "master_replid:"); ok {
			return strings.TrimSpace(id)
		}
	}
	return ""
}

// askRun asks for the run, which is another one also when the first replica comes, or has been gone
// for an hour. Connections that do not agree about it would end each other's epochs. The caller holds mu.
func (c *conn) askRun() {
	c.out = appendCommand(c.out, "INFO", "replication")
	c.awaited = append(c.awaited, &command{want: 1, answer: func(_ int, r respReply, _ error) error {
		c.run = cmp.Or(runOf(r.text), c.run)
		return nil
	}})
}

// old reports whether a version, if it is one, is before another.
func old(version string, least [2]int) bool {
	words := strings.SplitN(version, ".", 3)
	if len(words) < 2 {
		return false
	}
	major, err := strconv.Atoi(words[0])
	minor, err2 := strconv.Atoi(words[1])
	return err == nil && err2 == nil && slices.Compare([]int{major, minor}, least[:]) < 0
}

// appendKept appends the command that keeps and publishes pub. script is nil when the server knows it.
func (c *conn) appendKept(b []byte, verb string, pub *broker.Publication, script *string) []byte {
	eval, which := "EVALSHA", c.keep.sha
	if script != nil {
		eval, which = "EVAL", *script
	}
	stream, position := c.keep.keys(pub.Channel)
	return appendCommand(b, eval, which, "2", stream, position, pub.Channel, link.String(pub.Content),
		verb, c.keep.sizeText, c.keep.ttlText, c.keep.lifeText, freshEpoch(), c.run, c.keep.durable)
}

// scriptLacks returns, in order, the publications that the server refused because it had lost the
// script. One of a channel that has taken a later one is not among them: it would arrive out of order.
func scriptLacks(batch []*broker.Publication) (again []*broker.Publication) {
	taken := map[string]bool{}
	for _, pub := range slices.Backward(batch) {
		refusal, _ := errors.AsType[respError](pub.Err)
		switch {
		case refusal.code() != "NOSCRIPT":
			taken[pub.Channel] = taken[pub.Channel] || pub.Keep && !errors.Is(pub.Err, broker.ErrDown)
		case taken[pub.Channel]:
			pub.Err = fmt.Errorf("%w: %w", broker.ErrDown, refusal)
		default:
			again = append(again, pub)
		}
	}
	slices.Reverse(again)
	return again
}

// receipt reads the answer of publishScript.
func receipt(r respReply) (broker.Receipt, error) {
	p, ok := broker.ParsePosition([]byte(r.text))
	if !ok {
		return broker.Receipt{}, errRESP
	}
	return broker.Receipt{Position: p}, nil
}
