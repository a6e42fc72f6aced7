//go:build linux

package main

import (
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func TestTheMillionCountsEveryConnectionAndDelivery(t *testing.T) {
	b := smallBench(t, "-threads", "2", "-million-nice", "1")
	b.record.scenario = "million"
	if err := b.million(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]float64{"live and joined at once": 40, "deliveries counted": 2 * 40, "closed with 1012": 40} {
		i := slices.IndexFunc(b.record.Figures, func(f figure) bool { return f.Name == name })
		if i < 0 || b.record.Figures[i].Median != want {
			t.Errorf("%s: want %v in %+v", name, want, b.record.Figures)
		}
	}
}

func TestTheMillionFailsWhenSomebodyIsNotToldOfTheEnd(t *testing.T) {
	b := smallBench(t, "-server-args", "-failing farewell", "-run", "million")
	err := b.runAll(t.Context(), io.Discard)
	if want := "0 of 40 connections were closed with 1012"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("runAll = %v, want it to say %q", err, want)
	}
}

func TestARollRefusesWhatItDoesNotExpect(t *testing.T) {
	for _, tt := range []struct {
		name     string
		size     int
		messages int
		want     string
	}{
		{"as many as expected", 10, 2, ""},
		{"one more", 10, 3, "a publication to 2 came more often"},
		{"another size", 11, 1, "a message of 11 bytes came instead of 10"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := &crowd{failed: make(chan error, 1)}
			m := &member{at: &receiver{crowd: c, took: newLatencies()}}
			r := &roll{bytes: 10}
			r.call(2)
			for range tt.messages {
				r.message(m, event{opcode: opText, size: tt.size})
			}
			got := ""
			select {
			case err := <-c.failed:
				got = err.Error()
			default:
			}
			if got != tt.want || r.complete() != (tt.want == "") {
				t.Errorf("failed with %q and complete = %v, want %q", got, r.complete(), tt.want)
			}
		})
	}
}

func TestCollectionsAreReadFromAServersLog(t *testing.T) {
	c := make(collections)
	c.read("{\"msg\":\"wsify is listening\"}\n" +
		"gc 1 @0.012s 2%: 0.026+0.39+0.10 ms clock, 0.10+0.33/0.22/0+0.40 ms cpu, 4->4->0 MB, 4 MB goal, 0 MB stacks, 0 MB globals, 4 P\n" +
		"gc 2 @9.5s 0%: 1.5+290+0.004 ms clock, 3.0+0/1/2+0.008 ms cpu, 4->4->1 MB, 4 MB goal, 0 MB stacks, 0 MB globals, 2 P (forced)\n")
	c.read("gc 2 @9.5s 0%: 1.5+290+0.004 ms clock, 3.0+0/1/2+0.008 ms cpu, 4->4->1 MB\n")
	if len(c) != 2 || c[1] != (collection{stop: 0.10, cpu: 0.55, share: 2}) || c.longest() != 1.5 || c.last().cpu != 3 {
		t.Errorf("read %v, longest %v, want 2 collections and 1.5 ms", c, c.longest())
	}
}

func TestPartsOfTheKernelsMemoryAreRead(t *testing.T) {
	parts, err := readParts()
	if err != nil || parts["Slab"] <= 0 || parts[free] <= 0 || parts["Slab"] < parts["SUnreclaim"] {
		t.Errorf("readParts = %v, %v", parts, err)
	}
}

func TestSegmentsSentAgainAreReadByTheNameOfTheirColumn(t *testing.T) {
	got, err := parseResent("Ip: Forwarding\nIp: 1\nTcp: ActiveOpens RetransSegs InErrs\nTcp: 9 42 1\nUdp: InDatagrams\nUdp: 5\n")
	if err != nil || got != 42 {
		t.Errorf("parseResent = %d, %v, want 42", got, err)
	}
	if _, err := parseResent("Udp: InDatagrams\nUdp: 5\n"); err == nil {
		t.Error("no error for a kernel without TCP")
	}
}

func TestNumbersAreWrittenInThousands(t *testing.T) {
	for n, want := range map[int]string{7: "7", 999: "999", 1000: "1,000", 10000: "10,000", 1000000: "1,000,000"} {
		if got := thousands(n); got != want {
			t.Errorf("thousands(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestTheScriptOfTheMillionRefusesAWrongCommandLine(t *testing.T) {
	const script = "../lab/million.sh"
	if err := exec.Command("bash", "-n", script).Run(); err != nil {
		t.Skipf("bash -n %s: %v", script, err)
	}
	for _, tt := range []struct {
		args string
		code int
		want string
	}{
		{"-h", 0, "-n  connections"},
		{"-x", 2, "-n  connections"},
		{"-n many", 1, "many is not a number above zero"},
		{"-o /dev/null", 1, "/dev/null exists"},
	} {
		cmd := exec.Command(script, strings.Fields(tt.args)...)
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != tt.code || !strings.Contains(string(out), tt.want) {
			t.Errorf("million.sh %s: exit %d, want %d and %q in:\n%s", tt.args, code, tt.code, tt.want, out)
		}
	}
}
