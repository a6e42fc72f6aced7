//go:build linux

package main

import (
	"runtime"
	"testing"
)

func TestOneProcessorToSpare(t *testing.T) {
	cores := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(cores)
	for _, c := range []struct {
		name  string
		env   map[string]string
		loops int
		want  int
	}{
		{"fewer loops than processors", nil, 3, 4},
		{"as many loops as processors", nil, 4, 5},
		{"more loops than processors", nil, 6, 5},
		{"GOMAXPROCS is set", map[string]string{"GOMAXPROCS": "4"}, 4, 4},
	} {
		runtime.GOMAXPROCS(4)
		restore := spareProcessor(c.env, c.loops)
		if got := runtime.GOMAXPROCS(0); got != c.want {
			t.Errorf("%s: %d processors for %d loops; want %d", c.name, got, c.loops, c.want)
		}
		if restore(); runtime.GOMAXPROCS(0) != 4 {
			t.Errorf("%s: %d processors after the server has ended; want 4 as before", c.name, runtime.GOMAXPROCS(0))
		}
	}
}
