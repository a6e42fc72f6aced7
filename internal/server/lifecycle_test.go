package server

import "testing"

// Once the shutdown has begun, its delay included, nobody can end a drain.
func TestADrainCanEndUntilTheShutdown(t *testing.T) {
	srv := start(t, Config{})
	for range 2 {
		if !srv.Drain() || srv.Drain() || !srv.Undrain() || srv.Undrain() {
			t.Error("want each to report whether it has changed something")
		}
	}
	if !srv.Drain() {
		t.Fatal("the node is drained already")
	}
	srv.leaving.Store(true)
	if srv.Undrain() || !(control{srv}).Draining() {
		t.Error("a drain has ended during the shutdown")
	}
}

// What the service manager was told about the time of a shutdown stays true.
func TestAReloadDoesNotChangeAShutdownThatHasBegun(t *testing.T) {
	cfg := Config{DrainTimeout: 3e9}
	cfg.Reread = func() (Rereading, error) {
		next := Config{DrainTimeout: 600e9, ShutdownDelay: 600e9, BroadcastOpen: true}
		return Rereading{Config: next}, next.Validate()
	}
	srv := start(t, cfg)
	srv.leaving.Store(true)
	before := srv.StopTimeout()
	if _, err := srv.Reload(); err != nil {
		t.Fatal(err)
	}
	if after := srv.StopTimeout(); after != before {
		t.Errorf("the shutdown may take %v after a reload, and %v before", after, before)
	}
	srv.leaving.Store(false)
	if _, err := srv.Reload(); err != nil || srv.StopTimeout() == before {
		t.Errorf("before a shutdown, a reload changes nothing: %v", err)
	}
	srv.drain.Store(3e9) // of the end of this test
}
