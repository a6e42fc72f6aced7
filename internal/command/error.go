package command

// The codes of an Error, as clients see them in the reply to a message with an id.
const (
	BadRequest     = "bad_request"     // the message cannot be understood
	UnknownCommand = "unknown_command" // there is no command of that name
	Denied         = "denied"          // the authorizer said no
	AuthorizerDown = "authorizer_down" // the authorizer gave no decision
	Limit          = "limit"           // a limit of the server or the connection is reached
	BrokerDown     = "broker_down"     // the broker is unreachable or refused the publication
)

// Error tells the peer why its command was not carried out. It is a value of the
// protocol and, on purpose, has no Error method: a nil *Error can then never be
// stored in an error variable, which would not be nil.
//
// The errors of this package are made once and shared: read-only.
type Error struct {
	Code    string // one of the constants above
	Message string // one sentence for people; it may change between versions
}

// Errors of commands that were read and then not carried out.
var (
	ErrChannelLength  = &Error{Limit, "the channel name is too long"}
	ErrDenied         = &Error{Denied, "the authorizer does not allow this command"}
	ErrAuthorizerDown = &Error{AuthorizerDown, "the authorizer cannot be reached"}
	ErrBrokerDown     = &Error{BrokerDown, "the broker is unreachable: not published"}
)

// Errors of Parse and ParsePublication.
var (
	errSyntax         = &Error{BadRequest, "not valid JSON"}
	errNotObject      = &Error{BadRequest, "not a JSON object"}
	errNotArray       = &Error{BadRequest, "not a JSON array"}
	errDepth          = &Error{BadRequest, "objects and arrays nest deeper than 1000"}
	errID             = &Error{BadRequest, "id must be a string or a number, and at most 256 bytes long"}
	errNoCommand      = &Error{BadRequest, "command is missing"}
	errCommandType    = &Error{BadRequest, "command must be a string"}
	errArgsType       = &Error{BadRequest, "args must be an object"}
	errAmbiguous      = &Error{BadRequest, "command, args, channel and content must be written exactly so, and once"}
	errAmbiguousWhom  = &Error{BadRequest, "channels, user, users, except, echo and members must be written exactly so, and once"}
	errBesideArgs     = &Error{BadRequest, "content, channels, user, users, except, echo and members belong into args"}
	errInsideArgs     = &Error{BadRequest, "channels, user, users and except belong beside args, not into it"}
	errTargets        = &Error{BadRequest, "give one of channel, channels, user and users"}
	errChannels       = &Error{BadRequest, "channels must be a list of 1 to 100 strings"}
	errUser           = &Error{BadRequest, "user must be a string of 1 to 255 bytes"}
	errUsers          = &Error{BadRequest, "users must be a list of 1 to 100 strings of 1 to 255 bytes"}
	errRepeats        = &Error{BadRequest, "a channel or user is in the list twice"}
	errExcept         = &Error{BadRequest, "except must be a list of 1 to 100 ids of connections"}
	errEcho           = &Error{BadRequest, "echo must be true or false"}
	errMembers        = &Error{BadRequest, "members must be true or false"}
	errFromUnclear    = &Error{BadRequest, "since and last must be written exactly so, and once"}
	errSinceAndLast   = &Error{BadRequest, "give one of since and last"}
	errSince          = &Error{BadRequest, "since must be a string of at most 64 bytes"}
	errLast           = &Error{BadRequest, "last must be a whole number from 0 to 999999999"}
	errSurrogate      = &Error{BadRequest, "the channel's name has half a surrogate pair"}
	errNoChannel      = &Error{BadRequest, "channel is missing or empty"}
	errReserved       = &Error{BadRequest, "a channel's name must not begin with U+0000"}
	errChannelType    = &Error{BadRequest, "channel must be a string"}
	errUnknownCommand = &Error{UnknownCommand, "the commands are join, leave and broadcast"}
)
