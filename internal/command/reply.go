package command

import (
	"strconv"

	"github.com/goccy/go-json"
)

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

// appendQuoted appends text as a JSON string. It allocates only for a text that needs
// an escape. The texts of this package need none.
func appendQuoted(dst []byte, text string) []byte {
	if !plain(text) {
		quoted, err := json.Marshal(text)
		if err != nil {
			panic("command: quoting a string: " + err.Error()) // impossible: go-json accepts every string
		}
		return append(dst, quoted...)
	}
	dst = append(dst, '"')
	dst = append(dst, text...)
	return append(dst, '"')
}

// plain reports whether text needs no escape in a JSON string: printable ASCII
// without quote and backslash.
func plain(text string) bool {
	for i := 0; i < len(text); i++ {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}
