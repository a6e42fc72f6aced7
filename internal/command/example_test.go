package command_test

import (
	"fmt"

	"wsify/internal/command"
)

// An event loop has one Parser for all its connections.
func ExampleParser() {
	var p command.Parser
	for _, msg := range []string{
		`{"command":"join","args":{"channel":" caf\u00e9 "},"id":1}`,
		`{"command":"broadcast","args":{"channel":"news","content":{"n":12345678901234567890}}}`,
		`{"command":"jump","id":"x"}`,
	} {
		c, err := p.Parse([]byte(msg))
		if err != nil {
			fmt.Printf("%s\n", command.AppendError(nil, c.ID, err))
			continue
		}
		fmt.Printf("%s %q content=%s id=%s\n", c.Kind, c.Channel, c.Content, c.ID)
	}
	// Output:
	// join "café" content= id=1
	// broadcast "news" content={"n":12345678901234567890} id=
	// {"id":"x","ok":false,"error":{"code":"unknown_command","message":"the commands are join, leave and broadcast"}}
}

// The fields of a Command are borrowed: copy a field to keep it after the next message.
func ExampleCommand() {
	var p command.Parser
	c, _ := p.Parse([]byte(`{"command":"join","args":{"channel":"news"}}`))
	channel := string(c.Channel)
	p.Parse([]byte(`{"command":"leave","args":{"channel":"more"}}`))
	fmt.Println(c.Kind, channel)
	// Output: join news
}

func ExampleKind() {
	fmt.Println(command.Join, command.Leave, command.Broadcast, command.Unknown)
	// Output: join leave broadcast unknown
}

// A nil *Error is success. There is no Error method, by intention.
func ExampleError() {
	var p command.Parser
	_, err := p.Parse([]byte(`{"command":"join","args":{"channel":5}}`))
	fmt.Println(err.Code+":", err.Message)
	// Output: bad_request: channel must be a string
}

func ExampleAppendOK() {
	fmt.Printf("%s\n", command.AppendOK(nil, []byte(`"a-1"`)))
	// Output: {"id":"a-1","ok":true}
}

func ExampleAppendError() {
	fmt.Printf("%s\n", command.AppendError(nil, []byte(`1`), command.ErrDenied))
	// Output: {"id":1,"ok":false,"error":{"code":"denied","message":"the authorizer does not allow this command"}}
}

// The authorizer sees the args of the client, and not its id.
func ExampleAppendAuthorizerBody() {
	var p command.Parser
	c, _ := p.Parse([]byte(`{"id":1,"command":"join","args":{"channel":"news", "token":"t"}}`))
	fmt.Printf("%s\n", command.AppendAuthorizerBody(nil, &c))
	// Output: {"command":"join","args":{"channel":"news", "token":"t"}}
}

func ExampleAppendConnectBody() {
	body, err := command.AppendConnectBody(nil,
		map[string][]string{"Origin": {"https://example.com"}, "Host": {"ws.example.com"}},
		map[string][]string{"user": {"ann"}})
	fmt.Printf("%s %v\n", body, err)
	// Output: {"command":"connect","args":{"headers":{"Host":["ws.example.com"],"Origin":["https://example.com"]},"query":{"user":["ann"]}}} <nil>
}

func ExampleParsePublication() {
	for _, body := range []string{
		`{"channel":"news","content":"hi"}`,
		`{"channel":"news","args":{"content":"hi"}}`,
		`{"channel":"news"}`,
	} {
		p, _ := command.ParsePublication([]byte(body))
		fmt.Printf("%s %s\n", p.Channel, p.Content)
	}
	// Output:
	// news "hi"
	// news "hi"
	// news null
}
