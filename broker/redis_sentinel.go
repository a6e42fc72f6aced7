package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
)

// askSentinel returns the address of the master, as one sentinel knows it.
func (d *redisDialer) askSentinel(ctx context.Context, addr string) (string, error) {
	c, _, err := d.login(ctx, addr, d.o.sentinelUser, d.o.sentinelPassword)
	if _, refused := errors.AsType[respError](err); refused {
		return "", fmt.Errorf("sentinel (sentinel_user and sentinel_password of the DSN are for it): %w", err)
	}
	if err != nil {
		return "", fmt.Errorf("sentinel: %w", err)
	}
	defer c.Close()
	var master string
	err = c.during(ctx, d.o.timeout, func() error {
		r, err := c.call("SENTINEL", "get-master-addr-by-name", d.o.masterSet)
		switch {
		case err != nil:
			return err
		case len(r.list) != 2:
			return fmt.Errorf("it knows no master named %q", d.o.masterSet)
		}
		master = net.JoinHostPort(r.list[0].text, r.list[1].text)
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("sentinel at %s: %w", addr, err)
	}
	return master, nil
}

// masterMoved asks the sentinels whether the master is still the one at addr. It
// returns an error when the first that answers names another.
func (d *redisDialer) masterMoved(ctx context.Context, addr string) error {
	for _, sentinel := range d.o.addrs {
		master, err := d.askSentinel(ctx, sentinel)
		switch {
		case err != nil:
			continue // sentinels that are away do not take the master with them
		case master != addr:
			return errors.New("the sentinels have made another server the master")
		}
		return nil
	}
	return nil
}
