package netpoll

import (
	"os"
	"path/filepath"
	"testing"
)

// An operator removes the file, and a new process listens there before the old one ends.
func TestAUnixSocketOfAnotherProcessIsNotRemoved(t *testing.T) {
	for name, listenAndStop := range map[string]func(t *testing.T, addr string) (stop func() error){
		"by the loops": func(t *testing.T, addr string) func() error {
			g := start(t, Config{}, echo())
			listen(t, g, addr)
			return g.Stop
		},
		"by package net": func(t *testing.T, addr string) func() error {
			ln, err := OpenListener(addr, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			return ln.Close
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "s")
			stop := listenAndStop(t, unixPrefix+path)
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			g := start(t, Config{}, echo())
			addr := listen(t, g, unixPrefix+path)
			if err := stop(); err != nil {
				t.Fatal(err)
			}
			c := dial(t, addr)
			write(t, c, "hello")
			wantRead(t, c, "hello")
		})
	}
}

func TestPackageNetRemovesItsUnixSocketOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	ln, err := OpenListener(unixPrefix+path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Fatalf("after Close: Lstat = %v, want that it does not exist", err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("a second Close: %v, want that it removes nothing", err)
	}
}
