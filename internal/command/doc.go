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
// The members command and args of a message, and channel and content of its args,
// match exactly. In the message and in its args none of these four names may repeat
// or stand in another case, escaped or not: the authorizer gets args as they were
// sent, and which of two members counts, and whether case does, is for its decoder to
// say. Such a message is a bad request, so that a message means one thing to
// everybody. Case is Unicode's simple folding here, as in encoding/json. Deeper
// inside, and with other names, members may repeat.
//
// The member id, which the authorizer does not get, matches whatever its case, and
// the last one counts. A null for command, args, channel or id is as good as no
// member; a null for content is a content. Other members are ignored, and those of
// args reach the authorizer. A channel whose name has half a surrogate pair is a bad
// request. A byte order mark before the message is skipped.
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
