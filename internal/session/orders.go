package session

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"wsify/broker"
	"wsify/internal/command"
)

// orders carries orders between nodes, through a channel of the broker. Clients and backends cannot
// use its name: command.Reserved. Each order is signed with a key that all nodes share, because
// others may publish to the engine too. A nil orders has no other nodes.
type orders struct {
	node   string // of connection ids
	key    []byte
	broker broker.Broker
	faults *slog.Logger
	obey   func(o Order)
}

// orderChannel is the channel for orders.
var orderChannel = []byte(command.ReservedPrefix + "wsify/orders")

// orderAge is how old an order may be when it is received. The clocks of the nodes have to agree to
// that. It bounds for how long a recorded order could be published again.
const orderAge = time.Minute

// sealed is an order on its way.
type sealed struct {
	From  string    `json:"from"` // the node that does not have to be told
	At    time.Time `json:"at"`
	Order Order     `json:"order"`
}

// newOrders returns nil for a node without a key, or without others.
func newOrders(n *Node) *orders {
	if n.cfg.AdminKey == "" || !n.broker.Asynchronous() {
		return nil
	}
	key := sha256.Sum256([]byte("wsify orders\x00" + n.cfg.AdminKey))
	return &orders{node: n.name, key: key[:], broker: n.broker, faults: n.faults, obey: func(o Order) {
		go n.obeyOther(o)
	}}
}

// obeyOther carries out an order that another node was given.
func (n *Node) obeyOther(o Order) {
	ctx, cancel := context.WithTimeout(context.Background(), orderTimeout)
	defer cancel()
	here, err := n.carryOut(ctx, o)
	if err != nil {
		n.faults.Warn("an order of another node is not carried out yet", "err", err)
	}
	n.log.Info("an order of another node was carried out", append(o.attrs(), slog.Int("here", here))...)
}

// tell publishes an order, and returns a chan for the outcome, a value of Carried.Nodes.
func (s *orders) tell(ctx context.Context, o Order) <-chan string {
	outcome := make(chan string, 1)
	if s == nil {
		outcome <- NodesNone
		return outcome
	}
	answer := make(chan error, 1)
	pending, _, err := s.broker.Publish(nil, orderChannel, s.seal(o, time.Now()), func(_ broker.Receipt, err error) { answer <- err })
	if !pending {
		outcome <- toldBy(err)
		return outcome
	}
	go func() {
		select {
		case err := <-answer:
			outcome <- toldBy(err)
		case <-ctx.Done():
			outcome <- NodesUnknown
		}
	}()
	return outcome
}

func toldBy(err error) string {
	switch {
	case err == nil:
		return NodesTold
	case errors.Is(err, broker.ErrUnknown):
		return NodesUnknown
	}
	return NodesUnreachable
}

// seal returns the signed form of an order: the signature, a space, and JSON.
func (s *orders) seal(o Order, at time.Time) []byte {
	body, err := json.Marshal(sealed{s.node, at.UTC(), o})
	if err != nil {
		panic(err) // all its fields can be written
	}
	return append(append(hex.AppendEncode(nil, s.sign(body)), ' '), body...)
}

func (s *orders) sign(body []byte) []byte {
	mac := hmac.New(sha256.New, s.key)
	mac.Write(body)
	return mac.Sum(nil)
}

// errOrder is the error of unseal, for the log.
type errOrder string

func (e errOrder) Error() string { return string(e) }

const (
	errSignature errOrder = "its signature is wrong: the nodes have different keys (-admin-key), or it is forged"
	errOrderAge  errOrder = "it is too old, or from the future: the clocks of the nodes differ"
	errOrderForm errOrder = "it cannot be read: the nodes have different versions"
)

// unseal returns an order that was received. own is true for one of this node.
func (s *orders) unseal(content []byte, now time.Time) (o Order, own bool, err error) {
	signature, body, _ := bytes.Cut(content, []byte(" "))
	given, err := hex.DecodeString(string(signature))
	if err != nil || !hmac.Equal(given, s.sign(body)) {
		return o, false, errSignature
	}
	var got sealed
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields() // without the target that it does not know, an order would be for everybody
	if d.Decode(&got) != nil {
		return o, false, errOrderForm
	}
	if got.From == s.node {
		return o, true, nil
	}
	if now.Sub(got.At).Abs() > orderAge {
		return o, false, errOrderAge
	}
	return got.Order, false, nil
}

// received handles what was published to the channel for orders. It does not block.
func (s *orders) received(content []byte) {
	o, own, err := s.unseal(content, time.Now())
	switch {
	case err != nil:
		s.faults.Warn("an order of another node is ignored", "err", err)
	case !own:
		s.obey(o)
	}
}

// deliverOrObey is deliver for a node that hears orders.
func (n *Node) deliverOrObey(channel, content []byte) error {
	if bytes.Equal(channel, orderChannel) {
		n.orders.received(content)
		return nil
	}
	return n.deliver(channel, content)
}

// startBroker starts the broker, and hears orders if there may be some.
func (n *Node) startBroker() error {
	deliver := n.deliver
	if n.orders = newOrders(n); n.orders != nil {
		deliver = n.deliverOrObey
	}
	if err := n.broker.Start(deliver, n.roomInBroker); err != nil {
		return err
	}
	if n.orders != nil {
		n.broker.Subscribe(string(orderChannel))
	}
	return nil
}
