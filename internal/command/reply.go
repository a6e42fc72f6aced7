package command

import "strconv"

// AppendOK appends the answer to the message with the given id, whose command
// was carried out. The id is the raw JSON of Command.ID.
func AppendOK(dst []byte, id []byte) []byte {
	dst = append(dst, `{"id":`...)
	dst = append(dst, id...)
	return append(dst, `,"ok":true}`...)
}

// AppendOKMembers is AppendOK for a broadcast, with the number of members that got it.
func AppendOKMembers(dst []byte, id []byte, members int) []byte {
	dst = AppendOK(dst, id)
	dst = append(dst[:len(dst)-1], `,"members":`...)
	return append(strconv.AppendInt(dst, int64(members), 10), '}')
}

// AppendError appends the answer to the message with the given id, whose command
// was not carried out because of e. The id is the raw JSON of Command.ID.
func AppendError(dst []byte, id []byte, e *Error) []byte {
	dst = append(dst, `{"id":`...)
	dst = append(dst, id...)
	dst = append(dst, `,"ok":false,"error":{"code":`...)
	dst = appendQuoted(dst, e.Code)
	dst = append(dst, `,"message":`...)
	dst = appendQuoted(dst, e.Message)
	return append(dst, '}', '}')
}
