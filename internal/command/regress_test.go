package command

import "testing"

// Defects of version 3 that this package must not have, each with a message that
// shows it.

func TestV3ArgsMergedBetweenMessages(t *testing.T) {
	var p Parser
	steps := []struct{ msg, want string }{
		{`{"command":"broadcast","args":{"channel":"a","content":"secret"},"id":1}`, `broadcast "a" content="secret" id=1`},
		{`{"command":"broadcast","args":{"channel":"b"}}`, `broadcast "b" content=null`},
		{`{"command":"broadcast","args":{"content":2}}`, `bad_request: channel is missing or empty command=broadcast`},
		{`{"command":"join"}`, `bad_request: channel is missing or empty command=join`},
		{`{"args":{"channel":"c"}}`, `bad_request: command is missing`},
	}
	for _, s := range steps {
		if got := describe(p.Parse([]byte(s.msg))); got != s.want {
			t.Errorf("Parse(%s)\n got %s\nwant %s", s.msg, got, s.want)
		}
	}
}

func TestV3EmptyObjectRanThePreviousCommandAgain(t *testing.T) {
	var p Parser
	if _, err := p.Parse([]byte(`{"command":"join","args":{"channel":"a"},"id":1}`)); err != nil {
		t.Fatal(err.Message)
	}
	c, err := p.Parse([]byte(`{}`))
	if err != errNoCommand {
		t.Errorf("Parse({}) after a join: %s, want an error", describe(c, err))
	}
	if c.Kind != Unknown || c.Name != nil || c.Channel != nil || c.Args != nil || c.ID != nil {
		t.Errorf("Parse({}) after a join kept something of it: %+v", c)
	}
}

func TestV3BroadcastBodyOfItsReadmeDeliveredNull(t *testing.T) {
	p, err := ParsePublication([]byte(`{"channel": "hello", "args": {"content": "Hi there!"}}`))
	if got, want := describePublication(p, err), `"hello" content="Hi there!"`; got != want {
		t.Errorf("the README's body was read as %s, want %s", got, want)
	}
}

func TestV3Integers64BitWereRounded(t *testing.T) {
	for _, number := range []string{"9007199254740993", "9223372036854775807", "18446744073709551615",
		"-9223372036854775808", "1e400", "0.1000000000000000055511151231257827021181583404541015625", "1.0"} {
		var p Parser
		c, err := p.Parse([]byte(`{"command":"broadcast","args":{"channel":"a","content":` + number + `},"id":` + number + `}`))
		if err != nil || string(c.Content) != number || string(c.ID) != number {
			t.Errorf("content and id %s were read as %s", number, describe(c, err))
		}
		pub, err := ParsePublication([]byte(`{"channel":"a","content":{"n":` + number + `}}`))
		if err != nil || string(pub.Content) != `{"n":`+number+`}` {
			t.Errorf("content {n:%s} was read as %s", number, describePublication(pub, err))
		}
	}
}
