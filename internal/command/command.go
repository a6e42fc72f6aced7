package command

import (
	"bytes"
	"unicode/utf8"
)

// Kind is what a command does.
type Kind uint8

// The commands of a client. Their names are matched exactly, case included.
const (
	Unknown   Kind = iota // no command, or one that does not exist
	Join                  // the connection becomes a member of a channel
	Leave                 // the connection ends its membership
	Broadcast             // content goes to every member of a channel
)

// String returns the name of the command as clients write it, or "unknown".
func (k Kind) String() string {
	switch k {
	case Join:
		return "join"
	case Leave:
		return "leave"
	case Broadcast:
		return "broadcast"
	}
	return "unknown"
}

// MaxIDSize is how many bytes of JSON an id may have, the quotes of a string
// included. A longer one is a bad request, and the reply does not carry it.
const MaxIDSize = 256

// Command is one command of a client.
//
// All slices are borrowed, from the message or from the Parser: they are valid
// until the message is overwritten or Parse is called again.
type Command struct {
	Kind    Kind
	Name    []byte // the name as decoded, also of a command that does not exist
	Channel []byte // decoded, without white space around it; never empty in a valid command
	Content []byte // raw JSON as sent, for Broadcast only; null when none was sent
	Args    []byte // raw JSON of args as sent, an object; nil when none was sent
	Whom    *Whom  // of a Broadcast that has members of a Whom; Channel is empty when it is Targeted
	From    *From  // of a Join that says where to begin
	ID      []byte // raw JSON of the id, a string or a number; nil when there is none
}

// maxScratch is the capacity in bytes above which a Parser gives its scratch
// back to the garbage collector instead of keeping it for the next message.
const maxScratch = 64 << 10

// Parser reads messages. It keeps no state between messages except its scratch
// memory, so one Parser serves all connections of an event loop. It is not safe
// for concurrent use. The zero Parser is ready to use.
type Parser struct {
	s       scanner
	scratch []byte // decoded names of the last message
}

// Parse reads the command in msg, which it does not change or keep.
//
// On an error the Command still has the ID, if one was read, so that the caller
// can answer the message. It also has Kind and Name, if they were read. If the
// message is truncated or invalid JSON, only members before that point are read.
// On an error the other fields have no meaning.
func (p *Parser) Parse(msg []byte) (Command, *Error) {
	p.s.data, p.s.pos, p.s.deep = msg, 0, false
	if p.scratch = p.scratch[:0]; cap(p.scratch) > maxScratch {
		p.scratch = nil
	}
	var e outline
	err := p.s.outline(&e)
	c := p.command(&e)
	if err == nil {
		err = e.check(&c)
	}
	if err == nil {
		err = p.arguments(&e, &c)
	}
	p.s.data = nil // the message belongs to the caller again
	return c, err
}

// command returns the id, name and args of the outer object.
func (p *Parser) command(e *outline) (c Command) {
	if id := e.top[fieldID]; id.kind == '"' || id.number() {
		if id.end-id.start <= MaxIDSize {
			c.ID = p.s.raw(id)
		}
	}
	if args := e.top[fieldArgs]; args.kind == '{' {
		c.Args = p.s.raw(args)
	}
	if name := e.top[fieldCommand]; name.kind == '"' {
		c.Name = p.text(name)
		c.Kind = kindOf(c.Name)
	}
	return c
}

func kindOf(name []byte) Kind {
	switch string(name) {
	case "join":
		return Join
	case "leave":
		return Leave
	case "broadcast":
		return Broadcast
	}
	return Unknown
}

// check validates the members of the outer object. c was made from them.
func (e *outline) check(c *Command) *Error {
	name, set := e.top[fieldCommand], fieldSet(0)
	if c.Kind == Broadcast {
		set = whomOfArgs
	}
	unclear := e.unclear(1, set)
	switch {
	case c.ID == nil && !e.top[fieldID].absent():
		return errID
	case unclear != nil:
		return unclear
	case name.absent():
		return errNoCommand
	case name.kind != '"':
		return errCommandType
	case c.Args == nil && !e.top[fieldArgs].absent():
		return errArgsType
	case c.Kind == Unknown:
		return errUnknownCommand
	}
	return nil
}

// arguments adds the channel and the content in the args to c.
func (p *Parser) arguments(e *outline, c *Command) *Error {
	if c.Kind == Broadcast && misplaced(&e.top, e.seen[0]&(whomOfArgs|1<<fieldContent)) {
		return errBesideArgs
	}
	if c.Args == nil {
		return errNoChannel
	}
	if c.Kind == Broadcast && e.seen[1]&whomOfArgs != 0 {
		var err *Error
		if c.Whom, err = p.s.whom(&e.inArgs, whomOfArgs); err != nil {
			return err
		}
	}
	if c.Kind == Join && e.seen[1]&fromOfArgs != 0 {
		c.From = p.s.from(e)
	}
	if !c.Whom.Targeted() {
		name := e.inArgs[fieldChannel]
		if err := p.s.checkChannel(name); err != nil {
			return err
		}
		c.Channel = bytes.TrimSpace(p.text(name))
		if err := CheckName(c.Channel); err != nil {
			return err
		}
	}
	if c.Kind == Broadcast {
		if content := e.inArgs[fieldContent]; content.kind != 0 {
			c.Content = p.s.raw(content)
		} else {
			c.Content = p.keep(append(p.scratch, "null"...))
		}
	}
	return nil
}

// ReservedPrefix begins the names of channels that only nodes use among themselves. It is refused in
// the names that clients and backends give.
const ReservedPrefix = "\x00"

// CheckName validates the decoded name of a channel, without white space around it.
func CheckName(name []byte) *Error {
	switch {
	case len(name) == 0:
		return errNoChannel
	case name[0] == ReservedPrefix[0]:
		return errReserved
	}
	return nil
}

// checkChannel validates the token of a channel's name. It refuses half a surrogate
// pair: some decoders replace it by U+FFFD, so different names would become equal.
func (s *scanner) checkChannel(t token) *Error {
	switch {
	case t.absent():
		return errNoChannel
	case t.kind != '"':
		return errChannelType
	case t.escaped && hasLoneSurrogate(s.between(t)):
		return errSurrogate
	}
	return nil
}

// text returns the decoded text of the string t. It is part of the message if the
// text needs no decoding, otherwise part of the scratch.
func (p *Parser) text(t token) []byte {
	raw := p.s.between(t)
	if !t.escaped && utf8.Valid(raw) {
		return raw
	}
	return p.keep(appendUnquoted(p.scratch, raw))
}

// keep stores grown as the new scratch and returns the part that was appended.
// grown is the old scratch with something appended.
func (p *Parser) keep(grown []byte) []byte {
	from := len(p.scratch)
	p.scratch = grown
	return grown[from:len(grown):len(grown)]
}
