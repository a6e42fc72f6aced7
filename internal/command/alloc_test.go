package command

import "testing"

// allocations returns how often f allocates once its buffers have grown.
func allocations(f func()) float64 {
	f()
	return testing.AllocsPerRun(100, f)
}

func TestParseAllocatesNothing(t *testing.T) {
	for _, name := range []string{"accepted.txt", "refused.txt"} {
		for _, tc := range readCases(t, name) {
			var p Parser
			msg := []byte(tc.input)
			if n := allocations(func() { p.Parse(msg) }); n != 0 {
				t.Errorf("testdata/%s:%d: Parse(%q) allocates %v times", name, tc.line, tc.input, n)
			}
		}
	}
	for _, m := range messages {
		var p Parser
		msg := []byte(m.text)
		if n := allocations(func() { p.Parse(msg) }); n != 0 {
			t.Errorf("Parse of %s allocates %v times", m.name, n)
		}
	}
}

func TestRepliesAllocateNothingWithRoom(t *testing.T) {
	id, buf := []byte(`"a-17"`), make([]byte, 0, 256)
	if n := allocations(func() { AppendOK(buf, id) }); n != 0 {
		t.Errorf("AppendOK allocates %v times", n)
	}
	for _, e := range []*Error{ErrDenied, errSyntax, errID} {
		if n := allocations(func() { AppendError(buf, id, e) }); n != 0 {
			t.Errorf("AppendError of %q allocates %v times", e.Message, n)
		}
	}
}

func TestAuthorizerBodyAllocatesNothingWithRoom(t *testing.T) {
	c, buf := Command{Kind: Broadcast, Args: []byte(`{"channel":"a"}`)}, make([]byte, 0, 256)
	if n := allocations(func() { AppendAuthorizerBody(buf, &c) }); n != 0 {
		t.Errorf("AppendAuthorizerBody allocates %v times", n)
	}
}

func TestPublicationAllocatesNothingWhenNothingIsDecoded(t *testing.T) {
	for _, text := range []string{`{"channel":"é","content":{"a":[1]}}`, `{"channel":" a ","args":{"content":1}}`, `{"channel":1}`} {
		body := []byte(text)
		if n := allocations(func() { ParsePublication(body) }); n != 0 {
			t.Errorf("ParsePublication(%s) allocates %v times", text, n)
		}
	}
}
