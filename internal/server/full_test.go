package server

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"wsify/internal/testtool"
)

// A load balancer learns from /readyz that a node takes no more clients, and that it does
// again.
func TestANodeWithoutAPlaceIsNotReady(t *testing.T) {
	srv := startWithAdmin(t, Config{MaxConnections: 1})
	expectAdmin(t, srv, "/readyz", http.StatusOK, "ok\n")
	c := dial(t, srv.Addr())
	c.expect(t, upgradeRequest, http.StatusSwitchingProtocols)
	expectAdmin(t, srv, "/readyz", http.StatusServiceUnavailable, "full: 1 sessions are open, the most that -max-connections allows\n")
	expectAdmin(t, srv, "/healthz", http.StatusOK, "ok\n")
	dial(t, srv.Addr()).expect(t, upgradeRequest, http.StatusServiceUnavailable)
	if metrics := askAdmin(t, srv, "GET", "/metrics").body; !strings.Contains(metrics, `wsify_connections_rejected_total{reason="max_connections"} 1`+"\n") {
		t.Errorf("the refusal is not among the metrics: %s", metrics)
	}
	_ = c.Close()
	testtool.Until(t, "the node is ready again", func() bool { return askAdmin(t, srv, "GET", "/readyz").status == http.StatusOK })
}

// When descriptors are used up, /readyz says how many connections that are.
func TestReadyzSaysHowManyConnectionsTookTheDescriptors(t *testing.T) {
	t.Parallel()
	srv := startLimited(t, limits{Descriptors: 96})
	want := fmt.Sprintf("full: %d connections are open, and no descriptor is left for another: of 96, ", len(fillUp(t, srv.addr)))
	if got := askAdminAt(t, srv.admin, "GET", "/readyz"); got.status != http.StatusServiceUnavailable || !strings.HasPrefix(got.body, want) {
		t.Errorf("%d %q, want 503 %q", got.status, got.body, want)
	}
}
