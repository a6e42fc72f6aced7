package command

import (
	"bytes"
	"strings"
	"testing"
)

func TestKindsAreNamedAsClientsWriteThem(t *testing.T) {
	for k, want := range map[Kind]string{Unknown: "unknown", Join: "join", Leave: "leave", Broadcast: "broadcast", 99: "unknown"} {
		if got := k.String(); got != want {
			t.Errorf("Kind(%d).String() = %q, want %q", k, got, want)
		}
		if k != Unknown && k != 99 && kindOf([]byte(want)) != k {
			t.Errorf("%q is read as %v", want, kindOf([]byte(want)))
		}
	}
}

func TestIDsEndAtTheLimit(t *testing.T) {
	var p Parser
	for _, tc := range []struct {
		name, id string
		ok       bool
	}{
		{"a string that fits", `"` + strings.Repeat("x", MaxIDSize-2) + `"`, true},
		{"a string one too long", `"` + strings.Repeat("x", MaxIDSize-1) + `"`, false},
		{"a number that fits", strings.Repeat("9", MaxIDSize), true},
		{"a number one too long", strings.Repeat("9", MaxIDSize+1), false},
		{"escapes count as sent", `"` + strings.Repeat(`\u0061`, MaxIDSize/6+1) + `"`, false},
	} {
		for _, name := range []string{"join", "jump"} {
			c, err := p.Parse([]byte(`{"command":"` + name + `","id":` + tc.id + `,"args":{"channel":"a"}}`))
			if tc.ok && string(c.ID) != tc.id {
				t.Errorf("%s, %s: the id is %q", tc.name, name, c.ID)
			}
			if !tc.ok && (err != errID || c.ID != nil || string(c.Name) != name) {
				t.Errorf("%s, %s: %s, want the error about ids, and no id", tc.name, name, describe(c, err))
			}
		}
	}
}

func TestArgsAreAsSent(t *testing.T) {
	const args = `{ "channel" : "\u0061", "x":[1, 2],"x":"b" }`
	var p Parser
	c, err := p.Parse([]byte(`{"command":"join","args": ` + args + ` }`))
	if err != nil || string(c.Args) != args {
		t.Errorf("args are %q, error %v, want %q", c.Args, err, args)
	}
}

// Appending to a borrowed field does not overwrite the bytes after it in the message.
func TestAppendingToAFieldLeavesTheMessageAlone(t *testing.T) {
	for _, text := range []string{
		`{"command":"broadcast","args":{"channel":"a","content":[1]},"id":1}`,
		`{"command":"broad\u0063ast","args":{"channel":"\u0061","content":1},"id":"1"}`,
		`{"command":"broad\u0063ast","args":{"channel":"\u0061"},"id":"1"}`,
	} {
		p := Parser{scratch: make([]byte, 0, 1024)} // with room after every field
		msg := []byte(text)
		c, err := p.Parse(msg)
		if err != nil {
			t.Fatal(err.Message)
		}
		before := describe(c, nil)
		for _, field := range [][]byte{c.Name, c.Channel, c.Content, c.Args, c.ID} {
			_ = append(field, "overwritten"...)
		}
		if string(msg) != text || describe(c, nil) != before {
			t.Errorf("after appending to the fields of %s the message is %s and reads %s", text, msg, describe(c, nil))
		}
	}
}

// Overwriting the null of one command must not show in another one.
func TestAbsentContentIsNotShared(t *testing.T) {
	var p, q Parser
	msg := []byte(`{"command":"broadcast","args":{"channel":"a"}}`)
	a, _ := p.Parse(msg)
	copy(a.Content, "XXXX")
	if b, _ := q.Parse(msg); string(b.Content) != "null" {
		t.Errorf("content of another Parser is %q", b.Content)
	}
	if b, _ := p.Parse(msg); string(b.Content) != "null" {
		t.Errorf("content of the next message is %q", b.Content)
	}
	body := []byte(`{"channel":"a"}`)
	x, _ := ParsePublication(body)
	copy(x.Content, "XXXX")
	if y, _ := ParsePublication(body); string(y.Content) != "null" {
		t.Errorf("content of the next publication is %q", y.Content)
	}
}

// The name, the channel and the null share the scratch, which may move while it
// grows.
func TestDecodedFieldsStandSideBySide(t *testing.T) {
	var p Parser
	for _, n := range []int{1, 10, 1000, 100_000, 1} {
		long := strings.Repeat(`\u00e9`, n)
		c, err := p.Parse([]byte(`{"command":"\u0062roadcast","args":{"channel":"` + long + `"}}`))
		if err != nil || string(c.Name) != "broadcast" || string(c.Content) != "null" ||
			!bytes.Equal(c.Channel, []byte(strings.Repeat("é", n))) {
			t.Errorf("%d letters: name %q, content %q, %d bytes of channel, error %v", n, c.Name, c.Content, len(c.Channel), err)
		}
	}
	if cap(p.scratch) > maxScratch {
		t.Errorf("the scratch kept %d bytes, above %d", cap(p.scratch), maxScratch)
	}
}

// Parse discards the names decoded for the message before.
func TestScratchIsEmptiedForEachMessage(t *testing.T) {
	var p Parser
	for range 3 {
		if _, err := p.Parse([]byte(`{"command":"join","args":{"channel":"\u0061\u0062"}}`)); err != nil || string(p.scratch) != "ab" {
			t.Fatalf("the scratch holds %q (error %v)", p.scratch, err)
		}
	}
}

func TestParserLetsGoOfTheMessage(t *testing.T) {
	var p Parser
	if _, err := p.Parse([]byte(`{"command":"join","args":{"channel":"a"}}`)); err != nil || p.s.data != nil {
		t.Errorf("after Parse the Parser still holds %q (error %v)", p.s.data, err)
	}
}
