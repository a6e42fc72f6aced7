// Command envoy checks a configuration of Envoy against Envoy's own types: that every field exists,
// and that every value is allowed. It reads JSON. It is a module of its own, so that the server's
// go.mod does not need the types.
package main

import (
	"fmt"
	"io"
	"os"

	bootstrap "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3" // types that the configuration names
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
)

func main() {
	if err := run(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(config io.Reader) error {
	text, err := io.ReadAll(config)
	if err != nil {
		return err
	}
	var all bootstrap.Bootstrap
	if err := protojson.Unmarshal(text, &all); err != nil { // an unknown field is an error
		return err
	}
	return validate(all.ProtoReflect())
}

// validate applies the rules of a message's type, and those of the messages in it, also where these
// are packed.
func validate(m protoreflect.Message) (err error) {
	if v, ok := m.Interface().(interface{ ValidateAll() error }); ok {
		if err := v.ValidateAll(); err != nil {
			return err
		}
	}
	if packed, ok := m.Interface().(*anypb.Any); ok {
		var inside proto.Message
		if inside, err = packed.UnmarshalNew(); err == nil {
			err = validate(inside.ProtoReflect())
		}
		return err
	}
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		err = validateField(field, value)
		return err == nil
	})
	return err
}

func validateField(field protoreflect.FieldDescriptor, value protoreflect.Value) error {
	switch {
	case field.Message() == nil || field.IsMap():
		return nil
	case !field.IsList():
		return validate(value.Message())
	}
	for i := range value.List().Len() {
		if err := validate(value.List().Get(i).Message()); err != nil {
			return err
		}
	}
	return nil
}
