package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"

	"wsify/broker/internal/link"
)

// askSentinel asks one sentinel for the address of the master.
func (d *dialer) askSentinel(ctx context.Context, addr string) (string, error) {
	c, _, err := d.loginAs(ctx, addr, d.o.sentinelUser, d.o.sentinelPassword, nil)
	if _, refused := errors.AsType[respError](err); refused {
		return "", fmt.Errorf("sentinel (sentinel_user and sentinel_password of the DSN are for it): %w", err)
	}
	if err != nil {
		return "", fmt.Errorf("sentinel: %w", err)
	}
	defer c.close()
	r, err := c.call(ctx, "SENTINEL", "get-master-addr-by-name", d.o.masterSet)
	if err == nil && len(r.list) != 2 {
		err = fmt.Errorf("it knows no master named %q", d.o.masterSet)
	}
	if err != nil {
		return "", fmt.Errorf("sentinel at %s: %w", addr, err)
	}
	return net.JoinHostPort(r.list[0].text, r.list[1].text), nil
}

// askSentinels asks all sentinels at once. It returns the masters that they name, the most named
// first, and how many name each. A sentinel that is cut off from the others knows a former master,
// so the majority counts. It is an error when no sentinel names a master.
func (d *dialer) askSentinels(ctx context.Context) (masters []string, votes map[string]int, err error) {
	ctx, cancel := link.Within(ctx, nodeTimeout)
	defer cancel()
	named, failed := askAll(d.o.addrs, func(addr string) (string, error) { return d.askSentinel(ctx, addr) })
	votes = map[string]int{}
	for _, master := range named {
		if votes[master]++; votes[master] == 1 {
			masters = append(masters, master)
		}
	}
	if len(masters) == 0 {
		return nil, nil, failed
	}
	slices.SortStableFunc(masters, func(a, b string) int { return votes[b] - votes[a] })
	return masters, votes, nil
}

// masterMoved asks the sentinels whether the master is still at addr. It returns an error when more
// of them name another. Unreachable sentinels do not count.
func (d *dialer) masterMoved(ctx context.Context, addr string) error {
	masters, votes, err := d.askSentinels(ctx)
	if err == nil && votes[masters[0]] > votes[addr] {
		return errors.New("the sentinels have made another server the master")
	}
	return nil
}
