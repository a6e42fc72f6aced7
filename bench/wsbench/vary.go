//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// variation is what -vary asks for: the same scenarios for several values of one
// flag, which make a curve.
type variation struct {
	name   string // of the flag
	server bool   // it is a flag of the server
	values []string
}

// serverPrefix marks a flag of the server.
const serverPrefix = "server."

// parseVary reads NAME=V1,V2,... Empty is no variation.
func parseVary(text string) (v variation, err error) {
	if text == "" {
		return v, nil
	}
	name, values, ok := strings.Cut(text, "=")
	v.values = strings.FieldsFunc(values, func(r rune) bool { return r == ',' })
	v.name, v.server = strings.CutPrefix(name, serverPrefix)
	if !ok || v.name == "" || len(v.values) == 0 {
		return v, fmt.Errorf("-vary %s: want NAME=V1,V2", text)
	}
	if v.name == "vary" && !v.server {
		return v, errors.New("-vary vary: one flag at a time")
	}
	for _, value := range v.values {
		if _, err := number(value); err != nil {
			return v, fmt.Errorf("-vary %s: %w", text, err)
		}
	}
	return v, nil
}

// number is where a value is on a curve's axis; a duration is in seconds.
func number(value string) (float64, error) {
	if n, err := strconv.ParseFloat(value, 64); err == nil {
		return n, nil
	}
	if d, err := time.ParseDuration(value); err == nil {
		return d.Seconds(), nil
	}
	return 0, fmt.Errorf("%q is neither a number nor a duration", value)
}

// runValues runs the scenarios for each value of -vary, or once.
func (b *bench) runValues(ctx context.Context, args []string, stdout io.Writer) error {
	v, err := parseVary(b.vary)
	if err != nil || v.name == "" {
		return errors.Join(err, b.runAll(ctx, stdout))
	}
	b.record.Vary = strings.TrimPrefix(b.vary[:strings.Index(b.vary, "=")], "-")
	var errs []error
	for _, value := range v.values {
		one, err := b.with(v, value, args)
		if err != nil {
			return err
		}
		x, err := number(value)
		if err != nil {
			return err
		}
		b.record.x = &x
		errs = append(errs, one.runAll(ctx, stdout))
	}
	b.record.x = nil
	return errors.Join(errs...)
}

// with is the same run with another value of a flag. Record and processes are
// shared.
func (b *bench) with(v variation, value string, args []string) (*bench, error) {
	one := *b
	if v.server {
		c := b.tree()
		c.command = append(append([]string(nil), c.command...), "-"+v.name, value)
		one.contenders = append([]contender{c}, b.contenders[1:]...)
		return &one, nil
	}
	o, err := parseOptions(append(append([]string(nil), args...), "-"+v.name, value), io.Discard)
	if err != nil {
		return nil, fmt.Errorf("-vary %s: %w", b.vary, err)
	}
	one.options = o
	one.contenders, err = o.enlist()
	return &one, errors.Join(err, one.fit(b.record.Machine.Files))
}
