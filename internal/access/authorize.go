package access

// demands are the credentials that a web configuration requires.
type demands struct {
	user        bool // a name and a password of basic_auth_users
	certificate bool // a client certificate that an authority of the configuration has signed
}

func (d demands) dropsAnyOf(other demands) bool {
	return other.user && !d.user || other.certificate && !d.certificate
}

// proof is what a request proves without its user name and password, which are slow to check.
type proof struct {
	token       bool // it has a token of the token file, or a session that began with one
	user        bool // it has a session of a user with an unchanged password
	certificate bool // its connection has a verified client certificate
}

// policy is what the guard's files require.
type policy struct {
	atStartup demands
	now       demands // zero while the web configuration is unreadable
	// unreadable means that the web configuration is missing or invalid.
	unreadable bool
	tokens     bool // there is a token file
}

// decision is the outcome of authorize.
type decision int

const (
	// failClosed rejects the request because the web configuration cannot be trusted. It is the zero value.
	failClosed decision = iota
	allow
	requireClientCert
	requireToken
	// checkPassword allows the request if its user name and password are right.
	checkPassword
)

// authorize decides whether a request is answered.
//
// It fails closed while the web configuration is unreadable or asks for less than at startup, for example while the file
// is being rewritten. A valid token still counts then, but never in place of a client certificate.
func authorize(given proof, p policy) decision {
	switch {
	case p.atStartup.certificate && !p.now.certificate:
		return failClosed
	case p.now.certificate && !given.certificate: // the connection is older than this demand
		return requireClientCert
	case given.token:
		return allow
	case p.unreadable:
		return failClosed
	case p.tokens && !p.now.user:
		return requireToken
	case p.now.dropsAnyOf(p.atStartup):
		return failClosed
	case p.now.user && given.user:
		return allow
	case p.now.user:
		return checkPassword
	}
	return allow
}
