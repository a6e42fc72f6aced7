package command

import "encoding/json"

// CheckName validates the decoded name of a channel, without white space around it, as
// Parse does.
func CheckName(name []byte) *Error { return checkName(name) }

// AppendJoin appends the command that joins a channel.
func AppendJoin(dst []byte, channel string) []byte {
	dst = append(dst, `{"command":"join","args":{"channel":`...)
	return append(appendQuoted(dst, channel), '}', '}')
}

// AppendMessage appends the members channel and content of an object. Without a channel it
// appends only content. Content that is not JSON becomes a JSON string, so that it cannot
// forge other members: what comes from an engine may be anything.
func AppendMessage(dst, channel, content []byte) []byte {
	if len(channel) > 0 {
		dst = append(dst, `"channel":`...)
		dst = append(appendQuoted(dst, string(channel)), ',')
	}
	dst = append(dst, `"content":`...)
	if !json.Valid(content) {
		return appendQuoted(dst, string(content))
	}
	return append(dst, content...)
}
