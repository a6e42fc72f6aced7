package broker

// CheckNATSPrefix returns an error when the prefix cannot stand in a NATS subject.
func CheckNATSPrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	return checkNATSPrefix(prefix)
}
