package command

// A client that speaks the subprotocol wsify.v1 gets objects with a type:
//
//	{"type":"message","channel":"news","user":"ann","position":"e1-7","content":{"any":"JSON"}}
//	{"type":"reply","id":1,"ok":true}
//	{"type":"gap","channel":"news","position":"e1-9"}
//
// Each is one object, whatever is in it, so content cannot pass for an answer.

// AppendEnvelope appends the object of a publication. It leaves out what is empty of
// channel, user and position. Content that is not Valid becomes a JSON string: what comes
// from an engine may be anything.
func AppendEnvelope(dst, channel, content []byte, user, position string) []byte {
	dst = append(dst, `{"type":"message",`...)
	if user != "" {
		dst = append(appendQuoted(append(dst, `"user":`...), user), ',')
	}
	if position != "" {
		dst = append(appendQuoted(append(dst, `"position":`...), position), ',')
	}
	return append(AppendMessage(dst, channel, content), '}')
}

// EnvelopeOverhead is how many bytes AppendEnvelope adds at most to the texts it is given,
// when none of them has to be escaped.
const EnvelopeOverhead = len(`{"type":"message","channel":"","user":"","position":"","content":}`)

// AppendMessage appends the members channel and content of an object. Without a channel
// it appends only content. Content that is not Valid becomes a JSON string.
func AppendMessage(dst, channel, content []byte) []byte {
	if len(channel) > 0 {
		dst = append(appendQuoted(append(dst, `"channel":`...), channel), ',')
	}
	dst = append(dst, `"content":`...)
	if !Valid(content) {
		return appendQuoted(dst, content)
	}
	return append(dst, content...)
}

// AppendReply appends the object of an answer. answer is what AppendOK or AppendError has
// made.
func AppendReply(dst, answer []byte) []byte {
	return append(append(dst, replyType...), answer[len("{"):]...)
}

// ReplyOverhead is how many bytes AppendReply adds to an answer.
const ReplyOverhead = len(replyType) - len("{")

const replyType = `{"type":"reply",`

// AppendGap appends the object that says that publications of a channel were missed and
// cannot be given. position is where the channel goes on.
func AppendGap(dst, channel []byte, position string) []byte {
	dst = appendQuoted(append(dst, `{"type":"gap","channel":`...), channel)
	return append(appendQuoted(append(dst, `,"position":`...), position), '}')
}
