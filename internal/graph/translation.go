package graph

// Translation is what shows both sides of a connection with translated addresses. A higher value is better evidence.
type Translation uint16

// The values of Translation. The zero value means that nothing translates the connections.
const (
	TranslationInferred  Translation = iota + 1 // the addresses and ports that both sides know
	TranslationProxy                            // the socket at which docker-proxy accepted the connection
	TranslationConntrack                        // the kernel's table of tracked connections
)

var translationNames = map[Translation]string{
	TranslationInferred: "inferred", TranslationProxy: "proxy", TranslationConntrack: "conntrack",
}

// String returns the name of the value.
func (t Translation) String() string { return translationNames[t] }

// MarshalText writes the name of the value.
func (t Translation) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText parses the name of the value.
func (t *Translation) UnmarshalText(text []byte) error { return parseName(text, translationNames, t) }
