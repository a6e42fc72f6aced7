package command

import "strconv"

// AppendOK appends the answer to the message with the given id, whose command
// was carried out. The id is the raw JSON of Command.ID.
func AppendOK(dst []byte, id []byte) []byte {
	return append(appendSubject(dst, id), `,"ok":true}`...)
}

// AppendOKMembers is AppendOK for a broadcast, with the number of members that got it.
func AppendOKMembers(dst []byte, id []byte, members int) []byte {
	dst = AppendOK(dst, id)
	dst = append(dst[:len(dst)-1], `,"members":`...)
	return append(strconv.AppendInt(dst, int64(members), 10), '}')
}

// AppendJoined appends the answer to a join of a channel with history: the position to go on
// from, unless it is empty, and, if the join was from a position, whether nothing is missing.
func AppendJoined(dst []byte, id []byte, position string, asked, all bool) []byte {
	dst = AppendOK(dst, id)
	dst = dst[:len(dst)-1]
	if asked {
		dst = append(dst, `,"recovered":`...)
		dst = strconv.AppendBool(dst, all)
	}
	if position != "" {
		dst = append(dst, `,"position":`...)
		dst = appendQuoted(dst, position)
	}
	return append(dst, '}')
}

// AppendError appends the answer to the message with the given id, whose command
// was not carried out because of e. The id is the raw JSON of Command.ID.
func AppendError(dst []byte, id []byte, e *Error) []byte {
	dst = append(appendSubject(dst, id), `,"ok":false,"error":`...)
	return append(AppendFailure(dst, e), '}')
}

// AppendFailure appends e as a JSON object.
func AppendFailure(dst []byte, e *Error) []byte {
	dst = append(dst, `{"code":`...)
	dst = appendQuoted(dst, e.Code)
	dst = append(dst, `,"message":`...)
	return append(appendQuoted(dst, e.Message), '}')
}

// unasked begins what takes the place of an id in the answer to a join that no client has sent. No
// id begins with it.
const unasked = 0

// UnaskedID takes the place of an id in the answer to a join of this channel that no client has
// sent. The answer names the channel instead.
func UnaskedID(channel string) []byte { return append([]byte{unasked}, channel...) }

// appendSubject appends the beginning of an answer, which says what it is about.
func appendSubject(dst []byte, id []byte) []byte {
	if len(id) > 0 && id[0] == unasked {
		return appendQuoted(append(dst, `{"channel":`...), string(id[1:]))
	}
	return append(append(dst, `{"id":`...), id...)
}
