package process

import (
	"context"
	"os/exec"
	"testing"
	"time"
)

func TestAChildEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c, err := Start(exec.CommandContext(ctx, "sh", "-c", "sleep 600 & sleep 600"))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	select {
	case <-c.gone:
	case <-time.After(30 * time.Second):
		t.Fatal("it goes on")
	}
	if c, err = Start(exec.CommandContext(ctx, "true")); err == nil {
		t.Error("a child was started after the end")
	}
	c.Kill() // does nothing
}
