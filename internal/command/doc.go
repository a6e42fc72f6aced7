// Package command reads what clients and backends say in JSON, and writes what
// is answered: the command of one message, the reply to it, the body of the
// question to the authorizer, and the body of POST /broadcast.
//
// # A message
//
// A message is one JSON object:
//
//	{"command":"join",      "args":{"channel":"news"}, "id":1}
//	{"command":"leave",     "args":{"channel":"news"}}
//	{"command":"broadcast", "args":{"channel":"news", "content":{"any":"JSON"}}}
//
// The whole message has to be valid JSON (RFC 8259), just as encoding/json
// judges it, with one difference: objects and arrays nest at most MaxDepth deep.
// Bytes that are no UTF-8 are for the caller to refuse: here they are tolerated
// inside strings, copied as they are into raw fields, and read as U+FFFD in
// decoded ones, so that a decoded name is valid UTF-8 always.
//
// The members command, args and id of a message match as encoding/json matches
// the fields of a struct, whatever their case ("Command", "ARGS"); the members
// channel and content of args match exactly. Of several members with the same
// name the last one counts, alone: the ones before it are checked for syntax and
// nothing else. A null for command, args, channel or id is as good as no member;
// a null for content is a content. Other members are ignored, and those of args
// reach the authorizer, because args is passed on as it was sent. That includes
// members that repeat: an authorizer has to take the last one too, as nearly every
// JSON library does.
//
// # Borrowed, owned, shared
//
// A Command borrows from the message and from its Parser: it is valid until the
// message is overwritten or the Parser reads the next one, whichever is first.
// A Publication borrows from its body. Functions named Append… append to a slice
// of the caller, keep nothing, and return the extended slice.
//
// The package is pure: it has no clock, network, goroutine or log, and no state
// but the scratch of a Parser. Parse, AppendOK, AppendError and
// AppendAuthorizerBody allocate nothing once their buffers have grown.
package command
