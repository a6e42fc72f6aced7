package broker_test

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"wsify/broker"
)

func TestAHeadIsReadAsItWasWritten(t *testing.T) {
	for _, tc := range []struct {
		head broker.Head
		want string // before the content
	}{
		{broker.Head{}, ""},
		{broker.Head{User: "ann"}, "\x00 {\"user\":\"ann\"}\n"},
		{broker.Head{User: `a"b\é`}, "\x00 {\"user\":\"a\\\"b\\\\é\"}\n"},
		{broker.Head{Except: []string{"a-1", "b-2"}}, "\x00 {\"except\":[\"a-1\",\"b-2\"]}\n"},
		{broker.Head{Position: broker.Position{Epoch: "e1", Offset: 12}, Prev: 11}, "\x00e1-12-11 \n"},
		{broker.Head{Position: broker.Position{Epoch: "e1", Offset: 12}, Prev: 9, User: "a\nb"}, "\x00e1-12-9 {\"user\":\"a\\nb\"}\n"},
	} {
		for _, content := range []string{`"hi"`, "", "\n", " {}\n"} {
			got := broker.AppendHead(nil, &tc.head)
			if string(got) != tc.want {
				t.Errorf("AppendHead(%+v) = %q, want %q", tc.head, got, tc.want)
			}
			h, rest, ok := broker.SplitHead(append(got, content...))
			if !ok || !reflect.DeepEqual(h, tc.head) || string(rest) != content {
				t.Errorf("SplitHead(%q + %q) = %+v, %q, %t", got, content, h, rest, ok)
			}
		}
	}
}

// The largest head that the session writes fits.
func TestTheLargestHeadIsRead(t *testing.T) {
	h := broker.Head{
		Position: broker.Position{Epoch: strings.Repeat("z", broker.MaxEpoch), Offset: math.MaxUint64}, Prev: math.MaxUint64,
		User: strings.Repeat("\x01", 255), Except: slices.Repeat([]string{strings.Repeat("f", 64)}, 100),
	}
	got, rest, ok := broker.SplitHead(append(broker.AppendHead(nil, &h), "1"...))
	if !ok || string(rest) != "1" || !reflect.DeepEqual(got, h) {
		t.Errorf("the largest head was read as %+v, %q, %t", got, rest, ok)
	}
}

func TestAHeadThatCannotBeReadIsRefused(t *testing.T) {
	full := "\x00 {\"user\":\"" + strings.Repeat("x", broker.MaxHead-14) + "\"}\n"
	if _, _, ok := broker.SplitHead([]byte(full)); !ok || len(full) != broker.MaxHead {
		t.Fatalf("a head of %d bytes is refused", len(full))
	}
	for _, content := range []string{
		"\x00", "\x00\n1", "\x00 ", "\x00 {}1", "\x00 []\n1", "\x00 null\n1", "\x00 {\n1", "\x00 {}x\n1", "\x00 {\"user\":1}\n1", "\x00 {\"except\":\"a\"}\n1",
		"\x00e \n1", "\x00e-1 \n1", "\x00-1-0 \n1", "\x00e-1- \n1", "\x00e-01-0 \n1", "\x00E-1-0 \n1", "\x00e-1-0-0 \n1", "\x00e-1-18446744073709551616 \n1",
		"\x00" + strings.Repeat("e", broker.MaxEpoch+1) + "-1-0 \n1", strings.Replace(full, "x", "xx", 1),
	} {
		if h, rest, ok := broker.SplitHead([]byte(content)); ok || rest != nil || !h.IsZero() {
			t.Errorf("SplitHead(%.60q) = %+v, %q, %t, want it refused", content, h, rest, ok)
		}
	}
}

func TestOnlyWrittenPositionsAreRead(t *testing.T) {
	longest := broker.Position{Epoch: strings.Repeat("z", broker.MaxEpoch), Offset: math.MaxUint64}
	for _, p := range []broker.Position{{"a", 0}, {"0z9", 7}, longest} {
		if got, ok := broker.ParsePosition([]byte(p.String())); !ok || got != p || len(p.String()) > 64 {
			t.Errorf("ParsePosition(%q) = %v, %t", p.String(), got, ok)
		}
	}
	if got := (broker.Position{}).String(); got != "" {
		t.Errorf("no position is %q", got)
	}
	for _, text := range []string{"", "-", "a", "a-", "-1", "a-x", "a-1-", "a-1-1", "a- 1", "a-+1", "a-00", "a-18446744073709551616", "Ä-1", "a_b-1", longest.String() + "0", "z" + longest.String()} {
		if got, ok := broker.ParsePosition([]byte(text)); ok || got != (broker.Position{}) {
			t.Errorf("ParsePosition(%q) = %v, want it refused", text, got)
		}
	}
}

// A content without a head, and reading its head, allocates nothing.
func TestContentWithoutAHeadCostsNothing(t *testing.T) {
	content := []byte(`{"text":"hi"}`)
	if n := testing.AllocsPerRun(100, func() {
		if _, rest, ok := broker.SplitHead(content); !ok || len(rest) != len(content) {
			t.Fatal("the content was changed")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzSplitHead(f *testing.F) {
	for _, s := range []string{"", `"hi"`, "\x00 \n1", "\x00e-2-1 {\"user\":\"ann\",\"except\":[\"a-1\"]}\n{}", "\x00 {\"User\":\"ann\",\"new\":[1]}\n1", "\x00 {}", "\x00 {\"user\":\"\\ud800\"}\n"} {
		f.Add([]byte(s))
	}
	f.Add([]byte("\x00 {\"user\":\"\",\"except\":[\"a\"]}\n"))
	f.Add([]byte("\x00 {\"user\":\"\"}\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		before := bytes.Clone(content)
		h, rest, ok := broker.SplitHead(content)
		if !bytes.Equal(content, before) {
			t.Fatal("the content was changed")
		}
		if !ok {
			return
		}
		if !bytes.HasSuffix(content, rest) {
			t.Fatalf("%q is not the end of %q", rest, content)
		}
		written := broker.AppendHead(nil, &h)
		if len(written) > broker.MaxHead || h.IsZero() { // an escape may be longer than what was read
			return
		}
		again, rest2, ok := broker.SplitHead(append(written, rest...))
		if !ok || !sameHead(again, h) || !bytes.Equal(rest2, rest) {
			t.Fatalf("%+v was written as %q and read as %+v, %q, %t", h, written, again, rest2, ok)
		}
	})
}

func sameHead(a, b broker.Head) bool {
	return a.Position == b.Position && a.User == b.User && slices.Equal(a.Except, b.Except) && (a.Prev == b.Prev || a.Position.Epoch == "")
}

func FuzzParsePosition(f *testing.F) {
	for _, s := range []string{"", "a-1", "a-01", "0-18446744073709551615", "-", "A-1"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if p, ok := broker.ParsePosition(text); ok && (p.String() != string(text) || len(text) > 64) {
			t.Fatalf("%q was read as %v", text, p)
		}
	})
}

func ExampleAppendHead() {
	published := append(broker.AppendHead(nil, &broker.Head{User: "ann"}), `"hi"`...)
	head, content, _ := broker.SplitHead(published)
	fmt.Printf("%s: %s\n", head.User, content)
	// Output: ann: "hi"
}
