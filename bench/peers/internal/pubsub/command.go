package pubsub

import (
	"strings"

	json "github.com/goccy/go-json"
)

// command is one message of a client: join, leave or broadcast.
type command struct {
	ID      json.RawMessage `json:"id"`
	Command string          `json:"command"`
	Args    struct {
		Channel string          `json:"channel"`
		Content json.RawMessage `json:"content"`
	} `json:"args"`
}

// parseCommand reports false for what is no JSON object. Nothing in c is borrowed
// from message.
func parseCommand(message []byte) (c command, ok bool) {
	if err := json.Unmarshal(message, &c); err != nil {
		return c, false
	}
	c.Args.Channel = strings.TrimSpace(c.Args.Channel)
	c.Args.Content = orNull(c.Args.Content)
	return c, true
}

// orNull is what an absent content is published as.
func orNull(content json.RawMessage) json.RawMessage {
	if len(content) == 0 {
		return json.RawMessage("null")
	}
	return content
}

// answered reports whether the client asked for an answer, by a string or a number.
func (c *command) answered() bool {
	if len(c.ID) == 0 {
		return false
	}
	first := c.ID[0]
	return first == '"' || first == '-' || first >= '0' && first <= '9'
}

// done answers a command that took effect. It returns nil when no answer was asked for.
func (c *command) done() []byte {
	if !c.answered() {
		return nil
	}
	p := make([]byte, 0, len(c.ID)+len(`{"id":,"ok":true}`))
	p = append(append(p, `{"id":`...), c.ID...)
	return append(p, `,"ok":true}`...)
}

// refused answers a command that had no effect, as done does.
func (c *command) refused(code, message string) []byte {
	if !c.answered() {
		return nil
	}
	p := append([]byte(`{"id":`), c.ID...)
	p = append(append(p, `,"ok":false,"error":{"code":"`...), code...)
	p = append(append(p, `","message":"`...), message...)
	return append(p, `"}}`...)
}

// publication is the body of POST /broadcast, in either of its forms.
type publication struct {
	Channel string          `json:"channel"`
	Content json.RawMessage `json:"content"`
	Args    struct {
		Content json.RawMessage `json:"content"`
	} `json:"args"`
}

// parsePublication reports false for bad JSON and a missing channel.
func parsePublication(body []byte) (channel string, content []byte, ok bool) {
	var p publication
	if err := json.Unmarshal(body, &p); err != nil {
		return "", nil, false
	}
	if len(p.Content) == 0 {
		p.Content = p.Args.Content
	}
	channel = strings.TrimSpace(p.Channel)
	return channel, orNull(p.Content), channel != ""
}
