package command

import (
	stdjson "encoding/json"
	"testing"
)

func TestRepliesCarryTheIDAsSent(t *testing.T) {
	for _, id := range []string{`1`, `-0.50e+10`, `12345678901234567890`, `"a"`, `"\u0061\/"`, `""`} {
		if got, want := string(AppendOK([]byte("> "), []byte(id))), `> {"id":`+id+`,"ok":true}`; got != want {
			t.Errorf("AppendOK(%s) = %s, want %s", id, got, want)
		}
		want := `> {"id":` + id + `,"ok":false,"error":{"code":"denied","message":"no"}}`
		if got := string(AppendError([]byte("> "), []byte(id), &Error{Denied, "no"})); got != want {
			t.Errorf("AppendError(%s) = %s, want %s", id, got, want)
		}
	}
}

func TestErrorMessagesOfAnyTextAreQuoted(t *testing.T) {
	for _, text := range []string{"", "plain", `a "b" \c`, "line\nline", "\x00\x7f", "é 日本 😀", "<&>", "\u2028", "bad \xff byte"} {
		var m struct {
			Error struct{ Code, Message string }
		}
		reply := AppendError(nil, []byte("1"), &Error{text, text})
		if err := stdjson.Unmarshal(reply, &m); err != nil {
			t.Errorf("AppendError with %q = %q: %v", text, reply, err)
			continue
		}
		want := string([]rune(text)) // invalid UTF-8 becomes U+FFFD
		if m.Error.Code != want || m.Error.Message != want {
			t.Errorf("AppendError with %q reads as %q, %q", text, m.Error.Code, m.Error.Message)
		}
	}
}

func TestOwnErrorsNeedNoEscapes(t *testing.T) {
	for _, e := range []*Error{
		ErrDenied, ErrAuthorizerDown, ErrBrokerDown,
		errSyntax, errNotObject, errDepth, errID, errNoCommand, errCommandType,
		errArgsType, errNoChannel, errChannelType, errUnknownCommand,
	} {
		if quoted := string(appendQuoted(nil, e.Message)); quoted != `"`+e.Message+`"` || e.Message == "" {
			t.Errorf("the error %q is empty or needs an escape", *e)
		}
	}
}

func TestCodesAreTheContractsOwn(t *testing.T) {
	for _, tc := range []struct{ got, want string }{
		{BadRequest, "bad_request"},
		{UnknownCommand, "unknown_command"},
		{ErrDenied.Code, "denied"},
		{ErrAuthorizerDown.Code, "authorizer_down"},
		{Limit, "limit"},
		{ErrBrokerDown.Code, "broker_down"},
	} {
		if tc.got != tc.want {
			t.Errorf("the code is %q, want %q", tc.got, tc.want)
		}
	}
}

// The answer to a join that no client has sent names the channel.
func TestAnswersToUnaskedJoinsNameTheChannel(t *testing.T) {
	id := UnaskedID("a\"\u0000b")
	for got, want := range map[string]string{
		string(AppendOK(nil, id)):               `{"channel":"a\"\u0000b","ok":true}`,
		string(AppendError(nil, id, ErrDenied)): `{"channel":"a\"\u0000b","ok":false,"error":{"code":"denied","message":"` + ErrDenied.Message + `"}}`,
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	var p Parser
	if cmd, bad := p.Parse([]byte("{\"command\":\"join\",\"args\":{\"channel\":\"c\"},\"id\":\x00}")); bad == nil {
		t.Errorf("an id that begins like the place of one is accepted: %q", cmd.ID)
	}
}
