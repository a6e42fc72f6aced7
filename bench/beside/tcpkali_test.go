//go:build linux

package main

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// useKali puts the stand-in on the PATH.
func useKali(t *testing.T) {
	t.Helper()
	t.Setenv("PATH", filepath.Dir(as(t, "tcpkali"))+":"+os.Getenv("PATH"))
}

func TestWithoutTCPKaliOneLineSaysWhereToGetIt(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	code, stdout, stderr := beside("tcpkali")
	if code != exitMissing || stdout != "" || strings.Count(stderr, "\n") != 1 ||
		!strings.Contains(stderr, "github.com/machinezone/tcpkali") {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
}

func TestTCPKaliStandsBesideWSBench(t *testing.T) {
	needServer(t)
	useKali(t)
	code, table, stderr := beside("-server", wsify, "-wsbench", as(t, "wsbench"),
		"-duration", "1s", "-connections", "10", "-rate", "20", "tcpkali")
	if code != 0 {
		t.Fatalf("exit code %d\n%s\n%s", code, table, stderr)
	}
	for _, want := range []struct{ script, label, ours string }{
		{"connect", "handshakes", "-"},
		{"connect", "connect to first byte p99", "-"},
		{"connect", "server CPU per handshake", "44.25"},
		{"echo", "round trips", "-"},
		{"echo", "round trip max", "-"},
		{"fanout", "deliveries", "123456"},
		{"fanout", "server CPU per delivery", "-"},
		{"idle", "RSS per connection, over a fresh server", "-"},
	} {
		got := cell(t, table, want.script, want.label)
		if len(got) != 3 || got[1] == "-" || got[2] != want.ours {
			t.Errorf("%s, %s: %q, want tcpkali's figure and then %s", want.script, want.label, got, want.ours)
		}
	}
	// 10 connections, 20 messages a second each, for a second, and the machine may be slow; but
	// a wrong size of a frame gives a fraction or a multiple.
	for _, c := range []struct{ script, label string }{{"echo", "round trips"}, {"fanout", "deliveries"}} {
		got := cell(t, table, c.script, c.label)
		rate, err := strconv.ParseFloat(got[1], 64)
		if most := map[string]float64{"echo": 220, "fanout": 440}[c.script]; err != nil || rate <= 0 || rate > most {
			t.Errorf("%s: %q, want at most %g a second", c.script, got, most)
		}
	}
}

func TestDeliveriesAreWholeNumbersOfBytes(t *testing.T) {
	needServer(t)
	useKali(t)
	for _, size := range []string{"64", "128", "1000"} {
		code, out, stderr := beside("-server", wsify, "-wsbench", "none", "-scripts", "echo",
			"-duration", "1s", "-connections", "2", "-rate", "5", "-size", size, "tcpkali")
		if code != 0 {
			t.Fatalf("exit code %d\n%s\n%s", code, out, stderr)
		}
		figures, err := parseKali(out)
		if err != nil {
			t.Fatal(err)
		}
		n, _ := strconv.Atoi(size)
		if received := int(figures["received [B]"]); received == 0 || received%frameSize(n) != 0 {
			t.Errorf("content of %d bytes: received %d bytes, want a multiple of %d", n, received, frameSize(n))
		}
	}
}

func TestTheScriptsCommandLinesAreTCPKalis(t *testing.T) {
	useKali(t)
	t.Setenv("KALI", "parses")
	for _, script := range (&tcpkali{}).scripts() {
		if out, err := exec.Command(filepath.Join("bench/tcpkali", script+".sh")).CombinedOutput(); err != nil {
			t.Errorf("%s.sh: %v\n%s", script, err, out)
		}
	}
}

func TestTheStandInRefusesWhatTCPKaliRefuses(t *testing.T) {
	for _, args := range []string{
		"--ws", "--ws 127.0.0.1:1/ws --nonsense", "--ws --latency 5 127.0.0.1:1/ws", "-c 5 127.0.0.1:1/ws",
		"--ws -c none 127.0.0.1:1/ws", "--ws -r 5 127.0.0.1:1/ws", "--ws --latency-marker x 127.0.0.1:1/ws",
		"--ws -c 2000 --connect-rate 10 -T 1s 127.0.0.1:1/ws", "--ws --nagle=perhaps 127.0.0.1:1/ws",
		"--ws --latency-percentiles 50,101 127.0.0.1:1/ws",
	} {
		var out bytes.Buffer
		if code := runKali(strings.Fields(args), &out, &out); code != kaliUsage {
			t.Errorf("%s: exit code %d, want %d: %s", args, code, kaliUsage, out.String())
		}
	}
}

func TestTCPKalisReportIsRead(t *testing.T) {
	for _, c := range []struct {
		report string
		want   map[string]float64
	}{
		{
			"Destination: [127.0.0.1]:8989\nRamped up to 2 connections.\n" +
				"Total data sent:     33.0 MiB (34637100 bytes)\nTotal data received: 18.4 MiB (19263720 bytes)\n" +
				"Bandwidth per channel: 10.779⇅ Mbps (1347.4 kBps)\nAggregate bandwidth: 7.705↓, 13.853↑ Mbps\n" +
				"Packet rate estimate: 23465.4↓, 1327.3↑ (1↓, 1↑ TCP MSS/op)\n" +
				"Message latency at percentiles: 5043.1/5327.9/5375.9 ms (95/99/99.5%)\nTest duration: 20.0022 s.\n",
			map[string]float64{
				"received [B]": 19263720, "duration [s]": 20.0022,
				"Message p95 [ms]": 5043.1, "Message p99 [ms]": 5327.9, "Message p99.5 [ms]": 5375.9,
			},
		},
		{
			"Total data received: 278 bytes (278 bytes)\nFirst byte latency at percentiles: 0.5/32.2 ms (50/100%)\nTest duration: 10 s.\n",
			map[string]float64{"received [B]": 278, "duration [s]": 10, "First byte p50 [ms]": 0.5, "First byte p100 [ms]": 32.2},
		},
	} {
		if got, err := parseKali(c.report); err != nil || !maps.Equal(got, c.want) {
			t.Errorf("%s\n%v, %v; want %v", c.report, got, err, c.want)
		}
	}
	if got, err := parseKali("Could not create 100 connections in allotted time (1s)\n"); err == nil {
		t.Errorf("a run that failed gives %v", got)
	}
}

func TestNothingIsLeftBehind(t *testing.T) {
	needServer(t)
	useKali(t)
	t.Setenv("KALI", "hangs")
	t.Setenv("TMPDIR", t.TempDir()) // who is killed tidies nothing
	// The server of this test alone is known by its path.
	server := filepath.Join(t.TempDir(), "wsify")
	if err := os.Symlink(wsify, server); err != nil {
		t.Fatal(err)
	}
	const kaliRuns = "\x001234\x00--connect-rate"
	args := []string{"-server", server, "-wsbench", "none", "-scripts", "idle", "-connections", "1234"}

	t.Run("when the time is over", func(t *testing.T) {
		code, _, stderr := beside(append(args, "-timeout", "1s", "tcpkali")...)
		if code != exitFailed || !strings.Contains(stderr, "-timeout 1s is over") {
			t.Errorf("exit code %d: %s", code, stderr)
		}
		awaitGone(t, server)
		awaitGone(t, kaliRuns)
	})
	t.Run("when it is killed", func(t *testing.T) {
		program := exec.Command(as(t, "beside"), append(args, "tcpkali")...)
		if err := program.Start(); err != nil {
			t.Fatal(err)
		}
		defer program.Wait()
		defer program.Process.Kill()
		await(t, "the stand-in runs", func() bool { return len(processesWith(t, kaliRuns)) > 0 })
		if err := program.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		awaitGone(t, server)
		awaitGone(t, kaliRuns)
	})
}
