//go:build linux

package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestAProcessThatIsNeverQuietIsToldSo(t *testing.T) {
	busy, err := new(children).start(exec.Command("/bin/sh", "-c", "while :; do :; done"))
	if err != nil {
		t.Fatal(err)
	}
	defer busy.kill()
	before, err := processClock(busy.pid())
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(startTimeout); ; <-time.After(time.Millisecond) { // the shell has to start
		if spent, err := processClock(busy.pid()); err != nil || time.Now().After(end) {
			t.Fatalf("the shell did not start: %v", err)
		} else if spent > before+10*time.Millisecond {
			break
		}
	}
	s, err := meter{pid: busy.pid()}.measure(func() error { return nil })
	if err != nil || s.noise != 1 {
		t.Errorf("noise = %d, %v, want 1", s.noise, err)
	}
}

func TestNoiseIsARemarkAndSilenceIsNone(t *testing.T) {
	r := new(record)
	r.addNoise("a", "burst", 0)
	if len(r.Notes) != 0 {
		t.Errorf("notes %v, want none", r.Notes)
	}
	r.addNoise("a", "burst", 2)
	if len(r.Notes) != 1 || !strings.Contains(r.Notes[0].Text, "in 2 of the rounds") {
		t.Errorf("notes %v, want one of 2 rounds", r.Notes)
	}
}

func TestAThreadThatMakesTheLoadItselfIsInTheAccount(t *testing.T) {
	idle, err := new(children).start(exec.Command("/bin/sleep", "60"))
	if err != nil {
		t.Fatal(err)
	}
	defer idle.kill()
	s, err := meter{pid: idle.pid(), here: true}.measure(func() error {
		_, err := os.ReadFile("/proc/self/stat")
		return err
	})
	if err != nil || s.busiest <= 0 {
		t.Errorf("the busiest thread used %v, %v, want more than nothing", s.busiest, err)
	}
}
