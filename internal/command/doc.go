// Package command reads the JSON of clients and backends: the command in a
// message, and the body of POST /broadcast. It writes the reply to a message,
// the objects of the subprotocol wsify.v1, and the body of the request to the authorizer.
//
// # A message
//
// A message is one JSON object:
//
//	{"command":"join",      "args":{"channel":"news"}, "id":1}
//	{"command":"leave",     "args":{"channel":"news"}}
//	{"command":"broadcast", "args":{"channel":"news", "content":{"any":"JSON"}}}
//
// The whole message must be valid JSON (RFC 8259), as in encoding/json, with one
// difference: objects and arrays nest at most MaxDepth deep. The caller must refuse
// bytes that are not UTF-8. This package accepts them inside strings, copies them
// unchanged into raw fields, and reads them as U+FFFD in decoded fields, so a decoded
// name is always valid UTF-8.
//
// The names command, args, channel and content match exactly. In the message and in
// its args, none of the four may repeat or differ in case, escaped or not. Otherwise
// the message is a bad request: the authorizer gets args as they were sent, and its
// decoder might choose another of two members than this package, or ignore case. So a
// message means the same to every reader. Case is Unicode's simple folding here, as in
// encoding/json. Members of other names, and of objects deeper inside, may repeat.
//
// In the args of a broadcast, and in a body, channels, user, users and except may say whom
// the publication is for, and in args also echo and members: see Whom. Exactly one of
// channel, channels, user and users is given. There these names must not repeat or differ
// in case either. At the other level of a broadcast or a body they are a bad request, and so is
// content beside the args of a broadcast; but echo and members mean nothing in a body. Anywhere
// else they are members of other names.
//
// In the args of a join, since and last may say where to begin: see From. They are read where
// the channel keeps history; elsewhere they are members of other names.
//
// The member id, which the authorizer does not get, matches in any case, and the last
// one counts. A null for command, args, channel or id counts as absent; a null for
// content is a content. Other members of the message are ignored. Other members of
// args reach the authorizer. A channel whose name has half a surrogate pair is a bad
// request. A byte order mark before the message is skipped.
//
// # Borrowed, owned, shared
//
// A Command borrows from the message and from its Parser: it is valid until the
// message is overwritten or the Parser reads the next one, whichever is first.
// A Publication borrows from its body. Functions named Append… append to a slice
// of the caller, keep no reference to it, and return the extended slice.
//
// The package is pure: it has no clock, network, goroutine or log. Its only state
// is the scratch of a Parser. Parse, AppendOK, AppendError and
// AppendAuthorizerBody allocate nothing once their buffers have grown.
package command
