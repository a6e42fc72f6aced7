//go:build linux

package main

import (
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAMessageOfSeveralLinesIsTakenApart(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	content := text(30)
	putStamp(content, 42)
	push := centrifugePush("news") + string(content) + "}}}"
	var sizes []int
	var stamps []int64
	c := &crowd{dialect: centrifugeDialect, message: func(_ *member, e event) {
		sizes, stamps = append(sizes, e.size), append(stamps, readStamp(e.stamp))
	}}
	r := &receiver{crowd: c}
	m := &member{fd: pair[0], at: r}
	m.in.skip = centrifugeDialect.lead("news")
	r.data(m, event{opcode: opText, payload: []byte(push + "\n{\"id\":4,\"publish\":{}}\n{}\n" + push)})
	want := centrifugeDialect.delivered("news", len(content))
	if !slices.Equal(sizes, []int{want, want}) || !slices.Equal(stamps, []int64{42, 42}) {
		t.Errorf("sizes %v and stamps %v, want twice %d and 42", sizes, stamps, want)
	}
	buf := make([]byte, 64)
	n, err := unix.Read(pair[1], buf)
	if err != nil || string(buf[:n]) != string(clientFrame(opText, []byte(`{}`))) {
		t.Errorf("the beat was answered with %q, %v", buf[:n], err)
	}
}

func TestDialectsAreFoundByName(t *testing.T) {
	for _, d := range dialects {
		if dialectOf(d.name) != d {
			t.Errorf("dialectOf(%q) is another", d.name)
		}
	}
	if dialectOf("") != wsifyDialect || dialectOf("klingon") != nil {
		t.Error("no name is not the product's dialect, or a made-up one is found")
	}
}
