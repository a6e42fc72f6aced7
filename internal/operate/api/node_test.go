package api

import (
	"errors"
	"strings"
	"testing"
)

func TestTheNodeIsDrainedReloadedAndLogsMore(t *testing.T) {
	for _, tc := range []struct {
		request, body string
		f             fake
		asked, want   string
		status        int
	}{
		{"POST /log-level", `{"level":"debug"}`, fake{can: true}, "level DEBUG", `{"level":"debug"}`, 200},
		{"POST /log-level", `{"level":"error"}`, fake{can: true}, "level ERROR", `{"level":"error"}`, 200},
		{"POST /log-level", `{"level":"error"}`, fake{}, "level ERROR", `"code":"unavailable"`, 409},
		{"POST /log-level", `{"level":"DEBUG"}`, fake{}, "", "level has to be debug, info, warn or error", 400},
		{"POST /log-level", `{}`, fake{}, "", "level has to be debug, info, warn or error", 400},
		{"POST /log-level", ``, fake{}, "", "the body is empty", 400},
		{"POST /drain", ``, fake{}, "drain", `{"draining":true,"changed":true}`, 200},
		{"POST /drain", `{}`, fake{draining: true}, "drain", `{"draining":true,"changed":false}`, 200},
		{"POST /drain", `{"timeout":"1s"}`, fake{}, "", `there is no field \"timeout\"; there are none`, 400},
		{"DELETE /drain", ``, fake{draining: true, can: true}, "undrain", `{"draining":false,"changed":true}`, 200},
		{"DELETE /drain", ``, fake{can: true}, "undrain", `{"draining":false,"changed":false}`, 200},
		{"DELETE /drain", ``, fake{draining: true}, "undrain", `"code":"shutting_down"`, 409},
		{"POST /reload", ``, fake{}, "reload", `{"changed":[],"needs_restart":[]}`, 200},
		{"POST /reload", ``, fake{reloaded: Reloaded{[]string{"-a"}, []string{"-b", "-c"}}}, "reload", `{"changed":["-a"],"needs_restart":["-b","-c"]}`, 200},
		{"POST /reload", ``, fake{err: errors.New("line 3: no")}, "reload", `{"error":{"code":"invalid_configuration","message":"nothing is changed: line 3: no"}}`, 422},
		{"POST /reload", ``, fake{err: ErrUnavailable}, "reload", `"code":"unavailable"`, 409},
	} {
		method, path, _ := strings.Cut(tc.request, " ")
		w := do(newAPI("k3y", true, &tc.f), method, path, tc.body, bearer, "Content-Type: application/json")
		if w.Code != tc.status || !strings.Contains(w.Body.String(), tc.want) || tc.f.asked != tc.asked {
			t.Errorf("%s %s: %d %s, the server was asked %q; want %d %s and %q", tc.request, tc.body, w.Code, w.Body, tc.f.asked, tc.status, tc.want, tc.asked)
		}
		f := fake{can: true}
		if w := do(newAPI("", true, &f), method, path, tc.body, "Content-Type: application/json"); w.Code != 403 || f.asked != "" {
			t.Errorf("%s without a key: %d, the server was asked %q; want 403", tc.request, w.Code, f.asked)
		}
	}
}

// Nobody has to write a body for nothing.
func TestARequestWithoutABodyNeedsNoType(t *testing.T) {
	f := fake{}
	if w := do(newAPI("k3y", true, &f), "POST", "/drain", "", bearer); w.Code != 200 {
		t.Errorf("without a body: %d %s", w.Code, w.Body)
	}
	if w := do(newAPI("k3y", true, &f), "POST", "/drain", "{}", bearer); w.Code != 415 {
		t.Errorf("with a body and no type: %d %s, want 415", w.Code, w.Body)
	}
}
