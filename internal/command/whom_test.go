package command

import (
	"fmt"
	"strings"
	"testing"
)

// list returns a JSON list of n different strings of the given size at least.
func list(n, size int) string {
	texts := make([]string, n)
	for i := range texts {
		texts[i] = fmt.Sprintf("%q", fmt.Sprintf("%0*d", size, i))
	}
	return "[" + strings.Join(texts, ",") + "]"
}

// The members that say whom a publication is for, in args and in a body, and the reason for a refusal.
func TestWhomAPublicationIsFor(t *testing.T) {
	for _, tc := range []struct{ members, want string }{
		{`"channel":"a"`, ``},
		{`"channels":["a"," b "]`, `channels=[a b]`},
		{`"user":"ann"`, `users=[ann]`},
		{`"users":["ann","\u0062ob"]`, `users=[ann bob]`},
		{`"channel":"a","except":["x-1","x-1"]`, `except=[x-1 x-1]`},
		{`"channels":["a"],"user":null,"channel":null,"except":null`, `channels=[a]`},
		{`"ch\u0061nnels":["a"]`, `channels=[a]`},
		{`"user":"` + strings.Repeat("é", 127) + `x"`, `users=[` + strings.Repeat("é", 127) + `x]`},

		{`"channel":"a","channels":["b"]`, errTargets.Message},
		{`"channel":"a","user":"b"`, errTargets.Message},
		{`"user":"a","users":["b"]`, errTargets.Message},
		{`"channels":["a"],"users":["b"]`, errTargets.Message},
		{`"channels":null`, errNoChannel.Message},
		{`"except":["x-1"]`, errNoChannel.Message},

		{`"channels":[]`, errChannels.Message},
		{`"channels":"a"`, errChannels.Message},
		{`"channels":["a",1]`, errChannels.Message},
		{`"channels":["a",null]`, errChannels.Message},
		{`"channels":["a",["b"]]`, errChannels.Message},
		{`"channels":["\ud800"]`, errChannels.Message},
		{`"channels":[" "]`, errNoChannel.Message},
		{`"channels":["\u0000a"]`, errReserved.Message},
		{`"channels":["a"," a"]`, errRepeats.Message},
		{`"user":""`, errUser.Message},
		{`"user":7`, errUser.Message},
		{`"user":["a"]`, errUser.Message},
		{`"user":"\ud800"`, errUser.Message},
		{`"user":"` + strings.Repeat("x", 256) + `"`, errUser.Message},
		{`"users":"a"`, errUsers.Message},
		{`"users":[]`, errUsers.Message},
		{`"users":[""]`, errUsers.Message},
		{`"users":["` + strings.Repeat("x", 256) + `"]`, errUsers.Message},
		{`"users":["a","a"]`, errRepeats.Message},
		{`"channel":"a","except":[]`, errExcept.Message},
		{`"channel":"a","except":{}`, errExcept.Message},
		{`"channel":"a","except":[""]`, errExcept.Message},
		{`"channel":"a","except":[1]`, errExcept.Message},
		{`"channel":"a","except":["a\nb"]`, errExcept.Message},
		{`"channel":"a","except":["` + strings.Repeat("x", 65) + `"]`, errExcept.Message},

		{`"user":"a","user":"b"`, errAmbiguousWhom.Message},
		{`"user":"a","USER":"b"`, errAmbiguousWhom.Message},
		{`"u\u017fer":"a"`, errAmbiguousWhom.Message},
		{`"uſerſ":["a"]`, errAmbiguousWhom.Message},
		{`"Channels":["a"]`, errAmbiguousWhom.Message},
		{`"channel":"a","Except":["x-1"]`, errAmbiguousWhom.Message},
	} {
		checkWhom(t, tc.members, tc.want)
	}
}

// Lists are tried at their limit and one beyond.
func TestListsHaveAnEnd(t *testing.T) {
	ids := func(n int) string { return `"channel":"a","except":` + list(n, 64) }
	checkWhom(t, `"channels":`+list(100, 1), "")
	checkWhom(t, `"channels":`+list(101, 1), errChannels.Message)
	checkWhom(t, `"users":`+list(100, 255), "")
	checkWhom(t, `"users":`+list(101, 1), errUsers.Message)
	checkWhom(t, ids(100), "")
	checkWhom(t, ids(101), errExcept.Message)
}

// checkWhom compares a command and a body with these members with what they should mean: a
// describeWhom or the message of an error. An empty text is no error.
func checkWhom(t *testing.T, members, want string) {
	t.Helper()
	body := []byte(`{"content":1,` + members + `}`)
	msg := []byte(`{"command":"broadcast","args":` + string(body) + `}`)
	var p Parser
	c, bad := p.Parse(msg)
	pub, badBody := ParsePublication(body)
	for what, got := range map[string]string{"a command": describeWhom(c.Whom, bad), "a body": describeWhom(pub.Whom, badBody)} {
		if got != want && (want != "" || bad != nil || badBody != nil) {
			t.Errorf("%.100s in %s: %.200s, want %q", members, what, got, want)
		}
	}
	compareParse(t, msg)
	comparePublication(t, body)
}

func describeWhom(w *Whom, err *Error) string {
	if err != nil {
		return err.Message
	}
	if w == nil {
		return ""
	}
	var b strings.Builder
	add := func(name string, list []string) {
		if len(list) > 0 {
			fmt.Fprintf(&b, "%s=%v ", name, list)
		}
	}
	add("channels", w.Channels)
	add("users", w.Users)
	add("except", w.Except)
	return strings.TrimSpace(b.String())
}

// echo and members are for clients only: a body may have them for its publisher's own use.
func TestEchoAndMembersAreForClients(t *testing.T) {
	for _, tc := range []struct {
		members         string
		silent, counted bool
		bad             *Error
	}{
		{`"echo":false`, true, false, nil},
		{`"echo":true,"members":true`, false, true, nil},
		{`"echo":null,"members":null`, false, false, nil},
		{`"members":false`, false, false, nil},
		{`"echo":0`, false, false, errEcho},
		{`"members":"true"`, false, false, errMembers},
		{`"Echo":false`, false, false, errAmbiguousWhom},
		{`"members":true,"members":true`, false, false, errAmbiguousWhom},
	} {
		args := []byte(`{"channel":"a",` + tc.members + `}`)
		var p Parser
		c, bad := p.Parse([]byte(`{"command":"broadcast","args":` + string(args) + `}`))
		if bad != tc.bad || bad == nil && (c.Whom.Silent != tc.silent || c.Whom.Members != tc.counted || c.Whom.Restricted() || string(c.Channel) != "a") {
			t.Errorf("%s: %+v, %v", tc.members, c.Whom, bad)
		}
		if body, bad := ParsePublication(args); bad != nil || body.Whom != nil {
			t.Errorf("%s in a body: %+v, %v", tc.members, body.Whom, bad)
		}
	}
}

// A join and a leave may have args of these names for their authorizer, as before there was a Whom.
func TestAJoinMayHaveArgsOfTheseNames(t *testing.T) {
	var p Parser
	for _, args := range []string{`{"channel":"a","user":7,"User":8}`, `{"channel":"a","echo":"x","channels":[]}`} {
		for _, command := range []string{"join", "leave"} {
			if c, bad := p.Parse([]byte(`{"command":"` + command + `","args":` + args + `}`)); bad != nil || c.Whom != nil {
				t.Errorf("%s %s: %+v, %v", command, args, c.Whom, bad)
			}
		}
	}
}

// A member in the wrong place is a bad request: ignored, it would send the publication to others than
// its publisher has named. null is no member.
func TestAMemberInTheWrongPlaceIsABadRequest(t *testing.T) {
	lists := []string{`"channels":["b"]`, `"user":"ann"`, `"users":["ann"]`, `"except":["x-1"]`, `"Except":["x-1"]`, `"except":7`}
	others := []string{`"echo":false`, `"members":true`}
	check := func(input string, got, want *Error) {
		if t.Helper(); got != want {
			t.Errorf("%s: %+v, want %+v", input, got, want)
		}
	}
	message := func(member string) *Error {
		msg := []byte(`{"command":"broadcast","args":{"channel":"a","content":1},` + member + `}`)
		var p Parser
		_, bad := p.Parse(msg)
		compareParse(t, msg)
		return bad
	}
	body := func(member string) *Error {
		text := []byte(`{"channel":"a","args":{"content":1,` + member + `}}`)
		_, bad := ParsePublication(text)
		comparePublication(t, text)
		return bad
	}
	for _, member := range lists {
		check(member+" beside args", message(member), errBesideArgs)
		check(member+" in the args of a body", body(member), errInsideArgs)
	}
	for _, member := range others {
		check(member+" beside args", message(member), errBesideArgs)
		check(member+" in the args of a body", body(member), nil)
	}
	for _, member := range []string{`"except":null`, `"users":null`, `"other":1`, `"channel":"b"`} {
		check(member+" beside args", message(member), nil)
		check(member+" in the args of a body", body(member), nil)
	}
	check("content beside args", message(`"content":1`), errBesideArgs)
	var p Parser
	_, bad := p.Parse([]byte(`{"command":"broadcast","channel":"a","content":1}`))
	check("no args", bad, errBesideArgs)
	_, bad = p.Parse([]byte(`{"command":"join","args":{"channel":"a"},"user":"ann","except":[],"content":1}`))
	check("a join", bad, nil)
}
