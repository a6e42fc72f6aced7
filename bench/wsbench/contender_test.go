//go:build linux

package main

import (
	"slices"
	"strings"
	"testing"
)

func TestAServerIsToldWhereToListen(t *testing.T) {
	for _, tt := range []struct {
		text string
		want []string
	}{
		{"nbio=bin/nbio -x 1", []string{"bin/nbio", "-listen-addr", "127.0.0.1:80", "-x", "1"}},
		{"c@wsify=c --port={port} -v", []string{"c", "--port=80", "-v"}},
		{"d=d -l {addr}", []string{"d", "-l", "127.0.0.1:80"}},
	} {
		c, err := parseContender(tt.text)
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		if got := c.line(80); !slices.Equal(got, tt.want) {
			t.Errorf("%s: line = %q, want %q", tt.text, got, tt.want)
		}
	}
}

func TestAWrongServerIsNamed(t *testing.T) {
	for text, want := range map[string]string{
		"nbio": "want NAME", "=x": "want NAME", "a=": "want NAME", "floor=x": "is taken", "a@klingon=x": `no dialect "klingon"`,
	} {
		if _, err := parseContender(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("parseContender(%q) = %v, want it to say %q", text, err, want)
		}
	}
	o := options{name: treeName, server: "s", against: []string{"a=x", "a=y", "wsify=z"}}
	if _, err := o.enlist(); err == nil || strings.Count(err.Error(), "two servers") != 2 {
		t.Errorf("enlist = %v, want both names that are used twice", err)
	}
}

func TestServersTakeTurnsAtComingFirst(t *testing.T) {
	b := &bench{contenders: []contender{{name: "a"}, {name: "b"}, {name: "c"}}}
	var order string
	for round := range 2 {
		for _, c := range b.turns(round) {
			order += c.name
		}
	}
	if order != "abccba" || b.tree().name != "a" {
		t.Errorf("order %s, tree %s, want abccba, a", order, b.tree().name)
	}
}

func TestEveryServerOfARunIsMeasuredAndRecorded(t *testing.T) {
	self := executable(t)
	for _, name := range []string{"fanout", "mesh", "echo", "connect", "burst", "idle"} {
		t.Run(name, func(t *testing.T) {
			b := smallBench(t, "-against", "other="+self, "-run", name)
			var out strings.Builder
			if err := b.runAll(t.Context(), &out); err != nil {
				t.Fatal(err)
			}
			measured := make(map[string]map[string]bool)
			for _, f := range b.record.Figures {
				if measured[f.Server] == nil {
					measured[f.Server] = make(map[string]bool)
				}
				measured[f.Server][f.Name] = true
			}
			for figure := range measured[treeName] {
				if !measured["other"][figure] {
					t.Errorf("%q was measured on one server only", figure)
				}
			}
			if len(measured[treeName]) == 0 {
				t.Error("nothing was measured")
			}
			for _, s := range b.record.Servers {
				if s.Files == 0 {
					t.Errorf("the record lacks the descriptor limit of %s", s.Name)
				}
			}
		})
	}
}
