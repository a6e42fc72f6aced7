package command

// AppendJoin appends the command that joins a channel.
func AppendJoin(dst []byte, channel string) []byte {
	dst = append(dst, `{"command":"join","args":{"channel":`...)
	return append(appendQuoted(dst, channel), '}', '}')
}

// AppendChannel appends the member channel of an object.
func AppendChannel(dst []byte, channel string) []byte {
	return appendQuoted(append(dst, `"channel":`...), channel)
}
